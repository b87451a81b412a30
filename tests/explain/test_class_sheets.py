"""What is shown of a record, and the contact sheet of each class in the order of its probability."""

import numpy as np
import pytest
from matplotlib.text import Text
from plotted import overlay

from mri_tf.explain import pictures
from mri_tf.explain.maps import Explained
from mri_tf.explain.pictures import MOST_TILES, ClassSheets, Pictures, evenly, overlay_of
from mri_tf.store.record import NEIGHBOURS, Record
from mri_tf.task import Task

NAMES = ("no_tumor", "lgg", "gbm")
TASK = Task(name="types", channels=("t1",), image_shape=(8, 8), class_names=NAMES, model="vgg")


@pytest.fixture
def drawn(monkeypatch):
    """Sheets by file name: the figures, which are drawn and not written."""
    found = {}
    monkeypatch.setattr(pictures, "save_png", lambda figure, path: found.update({path.name: figure}))
    return found


def captions_of(figure) -> list[str]:
    return [part.get_suptitle() for part in figure.subfigs if part.get_suptitle()]


def record_of(image, label=0, affine=None, **facts) -> Record:
    return Record("r1", "p", image, label, facts=facts, affine=affine)


def test_a_sheet_begins_with_the_least_probable_record_of_its_class(drawn, tmp_path):
    sheets = ClassSheets(tmp_path, NAMES)
    for label, probability in ((0, 0.9), (2, 0.3), (0, 0.1), (0, 0.5), (-1, 0.7)):
        sheets.add(label, probability, f"{label}: {probability}", overlay(2))
    files = sheets.write(tmp_path)
    assert [file.name for file in files] == ["class-01.png", "class-03.png"] == list(drawn)
    assert captions_of(drawn["class-01.png"]) == ["0: 0.1", "0: 0.5", "0: 0.9"]
    assert captions_of(drawn["class-03.png"]) == ["2: 0.3"]
    assert [sheet.get_suptitle() for sheet in drawn.values()] == [
        "no tumor: 3 records, the least probable first", "gbm: 1 record, the least probable first"
    ]  # fmt: skip


@pytest.mark.parametrize("dimensions", [2, 3])
def test_of_more_records_than_fit_some_are_chosen_evenly_with_the_first_and_the_last(
    drawn, tmp_path, dimensions
):
    sheets, most = ClassSheets(tmp_path, NAMES), MOST_TILES[1 if dimensions == 2 else 3]
    for number in np.random.default_rng(0).permutation(4 * most):
        sheets.add(1, number / 100, str(number), overlay(dimensions))
    sheets.write(tmp_path)
    figure = drawn["class-02.png"]
    shown = [int(caption) for caption in captions_of(figure)]
    assert len(shown) == most and shown == sorted(shown)
    assert shown[0] == 0 and shown[-1] == 4 * most - 1 and np.ptp(np.diff(shown)) <= 1
    assert f"lgg: {most} of {4 * most} records" in figure.get_suptitle()
    assert "Evenly chosen" in figure.get_supxlabel()


def test_evenly_takes_all_where_they_fit():
    assert evenly([1, 2, 3], 3) == [1, 2, 3] and evenly(list(range(9)), 3) == [0, 4, 8]


def test_a_picture_says_the_truth_and_a_wrong_map_in_its_caption(drawn, monkeypatch, tmp_path):
    shown = {}
    monkeypatch.setattr(pictures, "save", lambda figure, stem: shown.update({stem.name: figure}))
    image = np.random.default_rng(0).random((8, 8, 1)).astype(np.float32)
    cam = np.ones((8, 8), np.float32)
    made = Pictures(tmp_path, TASK, "conv", ClassSheets(tmp_path, NAMES))
    row = {"record_id": "r1", "explained": "gbm", "decision": "gbm", "truth": "no_tumor",
           "probability": 0.8, "probability_of_truth": 0.15}  # fmt: skip
    for truth in ("no_tumor", ""):
        found = Explained(record_of(image, 0 if truth else -1), None, 2, cam, cam, np.eye(4), image)
        made.draw(found, row | {"truth": truth, "record_id": f"r{truth}"})
    made.sheets.write(tmp_path)
    assert captions_of(drawn["class-01.png"]) == ["rno_tumor\n0.15 for no tumor; map of gbm"]
    words = [text.get_text() for text in shown["rno_tumor_gradcam"].findobj(Text)]
    assert "rno_tumor: gbm 0.80" in words
    note = " ".join(shown["rno_tumor_gradcam"].get_supxlabel().split())
    assert note.startswith("Grad-CAM at conv. Decision: gbm; true: no tumor.")
    assert "true: unknown" in shown["r_gradcam"].get_supxlabel()


def test_of_a_slice_what_the_network_saw_is_shown_and_of_its_neighbours_the_slice_itself():
    seen = np.stack([np.full((6, 6), value, np.float32) for value in (1, 2, 3)], axis=-1)
    seen[2:4, 2:4] += 5
    record = record_of(np.zeros((6, 6, 3), np.float32), **{NEIGHBOURS: [True, True]})
    cam = np.arange(36, dtype=np.float32).reshape(6, 6)
    shown = overlay_of(Explained(record, None, 0, cam, cam, np.eye(4), seen), context_slices=1)
    np.testing.assert_array_equal(shown.image, seen[..., 1])
    np.testing.assert_array_equal(shown.values, cam)


def test_of_a_volume_the_prepared_image_is_shown_with_the_map_where_it_lies():
    affine = np.diag([-1.0, -1.0, -3.0, 1.0])  # column, row, depth: 1, 1 and 3 mm
    image = np.random.default_rng(0).random((6, 10, 12, 2)).astype(np.float32)
    box = affine @ np.array([[1, 0, 0, 4], [0, 1, 0, 3], [0, 0, 1, 2], [0, 0, 0, 1.0]])
    cam = np.zeros((2, 4, 5), np.float32)
    cam[1, 2, 3] = 1
    shown = overlay_of(Explained(record_of(image, 0, affine), None, 0, cam, cam, box))
    np.testing.assert_array_equal(shown.image, image[..., 0])
    assert np.unravel_index(shown.values.argmax(), shown.values.shape) == (3, 5, 7)
    assert shown.spacing_mm == (3.0, 1.0, 1.0)
    unknown = record_of(image, 0, affine, spacing="nominal")
    assert overlay_of(Explained(unknown, None, 0, cam, cam, box)).spacing_mm is None


def test_a_slice_s_map_is_placed_on_its_prepared_image_where_nothing_else_is_known():
    affine = np.diag([-1.0, -1.0, -3.0, 1.0])
    image = np.random.default_rng(0).random((10, 12, 1)).astype(np.float32)
    half = affine @ np.diag([2.0, 2.0, 1.0, 1.0])
    half[:2, 3] = -0.5
    cam = np.zeros((5, 6), np.float32)
    cam[2, 3] = 1
    shown = overlay_of(Explained(record_of(image, 0, affine), None, 0, cam, None, half))
    assert shown.values.shape == (10, 12) and shown.spacing_mm == (1.0, 1.0)
    there = np.argwhere(shown.values > 0.5 * shown.values.max())
    np.testing.assert_allclose(there.mean(axis=0), [4.5, 6.5], atol=0.1)
