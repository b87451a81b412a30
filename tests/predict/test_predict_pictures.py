"""Pictures of decisions: one of a record, a sheet of a stack of slices, names as people write them."""

import numpy as np
import pytest

from mri_tf.explain.maps import Explained
from mri_tf.explain.pictures import MOST_TILES
from mri_tf.predict.pictures import draw_decision, draw_decisions
from mri_tf.store.record import Record

ROW = {"decision": "aortic_arch", "probabilities": {"aortic_arch": 0.93, "lung_apex": 0.07}}


def explained(*shape: int) -> Explained:
    image = np.random.default_rng(0).random((*shape, 1)).astype(np.float32)
    cam = np.zeros(shape, np.float32)
    cam[tuple(size // 2 for size in shape)] = 1
    affine = np.diag([-1.0, -1.0, -2.0, 1.0])
    record = Record("", "p", image, affine=affine)
    return Explained(record, np.array([0.93, 0.07]), 0, cam, None, affine)


def captions_of(figure) -> list[str]:
    return [part.get_suptitle() for part in figure.subfigs if part.get_suptitle()]


@pytest.mark.parametrize(("shape", "panels"), [((8, 8), 2), ((6, 8, 8), 6)])
def test_a_record_is_drawn_as_image_beside_its_map_under_the_name_of_the_class(shape, panels):
    for figure in (draw_decision(explained(*shape), "chest.nii.gz", ROW),
                   draw_decisions([explained(*shape)], "chest.nii.gz", [ROW])):  # fmt: skip
        assert figure.get_suptitle() == "chest.nii.gz: aortic arch 0.93"
        assert len([axes for axes in figure.axes if axes.images]) == panels


def test_slices_are_a_sheet_with_their_numbers_and_decisions():
    rows = [dict(ROW), dict(ROW, decision="lung_apex")]
    figure = draw_decisions([explained(8, 8)] * 2, "chest.nii.gz", rows)
    assert captions_of(figure) == ["slice 1: aortic arch 0.93", "slice 2: lung apex 0.07"]
    assert figure.get_suptitle() == "chest.nii.gz, 2 slices"


def test_of_many_slices_of_one_answer_some_are_shown_and_the_answer_above_them():
    count = 3 * MOST_TILES[1]
    figure = draw_decisions([explained(8, 8)] * count, "P1", [ROW] * count)
    captions = captions_of(figure)
    assert len(captions) == MOST_TILES[1]
    assert captions[0] == "slice 1" and captions[-1] == f"slice {count}"
    assert figure.get_suptitle() == f"P1: aortic arch 0.93, {MOST_TILES[1]} of {count} slices"
