"""Dice and distances of a 3D segmentation, volume by volume, against masks that are known."""

import json

import nibabel
import numpy as np
import pandas as pd
import pytest

from data_prep.layouts.sequence_folders import list_cases, read_case
from data_prep.phantom.glioma.lgg import write_lgg_phantom
from data_prep.prepare.prepare import prepare
from mri_tf.evaluate.evaluation import evaluate_run
from mri_tf.metrics import Distance, hausdorff95_over_volumes, volume_metrics
from mri_tf.network.members import Member
from mri_tf.pipeline.subset import subset_of
from mri_tf.store.record import Record
from mri_tf.store.run import Run
from mri_tf.tables import summary
from mri_tf.task.files import FOLDER, load_task
from mri_tf.task.spec import to_json

SHAPE, SPACING = (20, 16, 12), (1.5, 2.0, 4.0)  # x, y, z of the files
SHIFT = 2  # voxels along x by which the predicted front part lies beside the true one
TASK_FILE = f"""
from mri_tf.task import Task

TASK = Task(
    name="hippocampus", layout="labelled_volumes", kind="segmentation", channels=("t1",),
    image_shape={SHAPE[::-1]},
    class_names=("background", "front", "back"), model="mnet3d", prep=dict(keep_aspect=False),
    normalize=dict(method="range", low=0.0, high=2.0), batch_size=2,
)
"""

DIAGONAL_MM = float(np.linalg.norm(np.multiply(SHAPE, SPACING)))  # of the prepared grid


class Reader:
    """In place of a network: it says what the intensities are, 0, 1 or 2."""

    def predict_on_batch(self, images):
        return np.eye(3)[np.rint(2 * np.asarray(images)[..., 0]).astype(int)]


def masks(patient: int) -> tuple[np.ndarray, np.ndarray]:
    """True and predicted labels (x, y, z): the front part predicted beside its place, the back part
    in its place; of the second patient no back part is predicted, the third one has none."""
    truth, predicted = np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.uint8)
    truth[3:9, 4:8, 3:6], predicted[3 + SHIFT : 9 + SHIFT, 4:8, 3:6] = 1, 1
    if patient != 2:
        truth[3:9, 10:13, 3:6] = 2
    if patient == 0:
        predicted[3:9, 10:13, 3:6] = 2
    return truth, predicted


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Task file, prepared set of three patients, and a run of the task."""
    folder = tmp_path_factory.mktemp("home")
    for kind in ("images", "labels"):
        (folder / "raw" / kind).mkdir(parents=True)
    affine = np.diag([*SPACING, 1.0])
    for patient in range(3):
        for kind, array in zip(("labels", "images"), masks(patient), strict=True):
            file = folder / "raw" / kind / f"p{patient}.nii.gz"
            nibabel.save(nibabel.Nifti1Image(array, affine), file)
    (folder / "hippocampus.py").write_text(TASK_FILE, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def found(home):
    """Numbers, table and terminal lines of the three volumes."""
    task = load_task(home / "hippocampus.py")
    prepared, skipped = prepare(task, home / "hippocampus.py", home / "raw", home / "data")
    assert not skipped
    values = {"task": to_json(task), "fitted": {}, "data": "another set", "weights_sha256": ""}
    run = Run(home / "run", values)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mri_tf.evaluate.evaluation.load_members", lambda run: [Member(run, Reader())])
        subset = subset_of(run, prepared, np.arange(3))
        result = evaluate_run(run, subset, "patient", home / "numbers")
    return result


def test_a_distance_is_in_mm_of_the_patient_whatever_the_grid_s_axes(found):
    front = found.metrics["per_class"]["front"]["hausdorff95"]
    assert front["value"] == pytest.approx(SHIFT * SPACING[0], abs=1e-4)
    assert front["measured_in"] == "mm" and front["n"] == 3
    assert any(line.endswith(" mm") for line in summary(found.metrics))


def test_dice_is_of_each_volume_then_averaged(found):
    overlap = 1 - SHIFT / 6
    per_class = found.metrics["per_class"]
    assert per_class["front"]["dice"]["value"] == pytest.approx(overlap)
    # 1 in the first volume, 0 in the second, nowhere in the third: left out of the mean, and said.
    assert per_class["back"]["dice"]["value"] == pytest.approx(0.5)
    assert per_class["back"]["dice"]["reason"] == "not in 1 of 3 volumes: left out"
    assert per_class["back"]["false_alarms"]["value"] == 0
    lesions = per_class["back"]["lesions"]
    assert (lesions["detected"], lesions["missed"], lesions["false"]) == (1, 1, 0)
    assert found.metrics["dice_mean"]["value"] == pytest.approx((overlap + 0.5) / 2)
    assert found.metrics["volumes"] == 3
    assert per_class["back"]["voxels"] == 2 * 6 * 3 * 3


def test_a_mask_that_is_missed_has_the_image_s_diagonal_as_distance(found):
    back = found.metrics["per_class"]["back"]["hausdorff95"]
    assert back["value"] == pytest.approx(DIAGONAL_MM / 2, abs=1e-3) and back["n"] == 2
    assert "not in 1 of 3 volumes: left out; 1 missed masks" in back["reason"]
    whole = found.metrics["hausdorff95_mean"]
    assert whole["value"] == pytest.approx((SHIFT * SPACING[0] + DIAGONAL_MM / 2) / 2, abs=1e-3)


def test_every_volume_is_a_row_with_its_numbers_and_reasons(found, home):
    table = pd.read_parquet(home / "numbers" / "predictions.parquet")
    assert found.files[-1].name == "predictions.parquet"
    assert list(table["patient"]) == ["p0", "p1", "p2"]
    np.testing.assert_allclose(table["dice_back"], [1, 0, np.nan])
    np.testing.assert_allclose(table["hausdorff95_back"], [0, DIAGONAL_MM, np.nan], rtol=1e-5)
    assert table["hausdorff95_back_reason"][1].startswith("the predicted mask is empty")
    assert table["dice_back_reason"][2] == "the truth does not hold it"
    assert set(table["measured_in"]) == {"mm"}


def test_numbers_are_json_without_nan(found, home):
    text = (home / "numbers" / "metrics.json").read_text(encoding="utf-8")
    assert json.loads(text, parse_constant=pytest.fail)["volumes"] == 3


def test_classes_of_intensity_have_dice_and_no_distance():
    counts = np.tile(50 * np.eye(3) + 1, (4, 1, 1))
    report = volume_metrics(counts, [[], [], [], []], np.array(list("aabb")), ("i1", "i2", "i3"))
    assert "hausdorff95_mean" not in report and report["dice_mean"]["n"] == 2
    assert "hausdorff95" not in report["per_class"]["i2"]


@pytest.mark.parametrize(
    ("facts", "affine", "spacing"),
    [
        ({}, np.diag([-1.5, -2.0, -4.0, 1.0]), (4.0, 2.0, 1.5)),
        ({"spacing": "nominal"}, np.diag([-1.5, -2.0, -4.0, 1.0]), None),
        ({}, None, None),
        ({}, np.eye(4), None),  # as a record without an affine is read back
    ],
)
def test_a_record_knows_its_spacing_unless_nobody_measured_it(facts, affine, spacing):
    record = Record("r", "p", np.zeros((2, 3, 4, 1), np.float32), facts=facts, affine=affine)
    assert record.spacing_mm == spacing


def test_the_lower_grade_gliomas_are_measured_in_voxels(tmp_path):
    write_lgg_phantom(tmp_path, 1, seed=0, signal=True)
    task = load_task(FOLDER / "lgg_tumour.py")
    (record,) = read_case(tmp_path, list_cases(tmp_path, task)[0], task)
    assert record.spacing_mm is None and record.affine is not None


def test_labels_without_any_distance_are_named_and_left_out():
    gone = Distance(np.nan, "mm", "the true mask is empty")
    distances = [[Distance(3.0, "mm"), gone], [Distance(5.0, "mm"), gone]]
    found = hausdorff95_over_volumes(distances, np.array(["a", "b"]), ("back", "one", "two"))
    assert found["value"] == 4 and "without two (in no volume)" in found["reason"]
    nothing = hausdorff95_over_volumes([[gone]], np.array(["a"]), ("back", "one"))
    assert nothing["value"] is None and "without one" in nothing["reason"]
    mixed = [[Distance(3.0, "mm")], [Distance(3.0, "voxels")]]
    several = hausdorff95_over_volumes(mixed, np.array(["a", "b"]), ("back", "one"))
    assert several["value"] is None and "mm and voxels" in several["reason"]


def test_the_terminal_names_undefined_distances_without_a_unit():
    metrics = {"hausdorff95_mean": {"value": None, "measured_in": None}, "note": ""}
    assert summary(metrics) == ["Hausdorff 95, mean of the labels undefined"]
