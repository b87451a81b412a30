"""The spacing a task fits: from the training side alone, alike for all sides and in the served graph."""

import json
from types import SimpleNamespace

import nibabel
import numpy as np
import pytest
from fresh import with_drawn_weights

from data_prep.ops.average import averaging_factors
from data_prep.phantom.meningioma.dataset import write_meningioma_phantom
from data_prep.prepare.prepare import prepare
from mri_tf.calibration import false_alarms
from mri_tf.core.errors import InputError
from mri_tf.export.parity import session_of
from mri_tf.export.publish import export_run
from mri_tf.network.build import check_task, load_network
from mri_tf.network.inference import predict_records
from mri_tf.pipeline.field_of_view import check_masks
from mri_tf.pipeline.subset import Subset
from mri_tf.splits.sides import SplitOptions, choose_sides
from mri_tf.splits.units import case_spacing, cases_of, select_slices
from mri_tf.store.record import Record
from mri_tf.store.run import positions_of
from mri_tf.task.files import find_task_file, load_task
from mri_tf.task.overrides import with_values
from mri_tf.train.fit import fit_run
from mri_tf.train.new_run import new_run

FILE = find_task_file("meningioma_grading")
FINEST_MM = (1.6, 1.0)
FOUR_MM = {"slice_mm": 4.0, "pixel_mm": 1.0}
TASK = with_values(
    load_task(FILE),
    {
        "image_shape": (64, 64), "prep.finest_mm": FINEST_MM, "spacing.grid": (32, 32),
        "spacing.medians": 2.0, "model": "vgg",
        "model_args": dict(conv_filters=2, dense_units=16, blocks=2), "fine_tune": {},
        "feature_bank": 0, "batch_size": 4, "epochs": 1, "split_fractions": (0.5, 0.25, 0.25),
    },
)  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("cases")


@pytest.fixture(scope="module")
def prepared(home):
    write_meningioma_phantom(home / "raw", 12, 5)
    found, skipped = prepare(TASK, FILE, home / "raw", home / "data")
    assert not skipped
    return found


@pytest.fixture(scope="module")
def run(home, prepared):
    """One epoch on half of the patients; then its weights are drawn."""
    chosen = choose_sides(prepared, TASK, SplitOptions("patient", None, 0, 0))
    run = fit_run(new_run(home / "run", TASK, prepared, chosen, 0), prepared, None, devices=1)
    return with_drawn_weights(run)


def _median_mm(home, patients):
    """Medians by the headers of the raw files: pixels, slices."""
    spacings = []
    for patient in patients:
        image = nibabel.as_closest_canonical(nibabel.load(home / "raw" / patient / "t1ce.nii.gz"))
        own = np.array(image.header.get_zooms()[:3], float)
        spacings.append(own * averaging_factors(own, (FINEST_MM[0], *FINEST_MM)))
    spacings = np.array(spacings)
    return np.median(np.sqrt(spacings[:, 0] * spacings[:, 1])), np.median(spacings[:, 2])


def test_the_median_is_that_of_the_training_patients_and_of_nobody_else(run, home):
    pixel_mm, slice_mm = _median_mm(home, run.values["patients"]["train"])
    assert run.values["fitted"] == pytest.approx({"pixel_mm": pixel_mm, "slice_mm": slice_mm}, rel=1e-4)
    everybody = [name for side in run.values["patients"].values() for name in side]
    assert _median_mm(home, everybody) != pytest.approx((pixel_mm, slice_mm), rel=1e-4)


def test_a_case_counts_once_however_many_slices_it_has(prepared):
    cases = cases_of(prepared, np.arange(len(prepared))[::-1])
    assert len(cases) == 12 and sum(map(len, cases)) == len(prepared)
    for case in cases:
        assert len(set(prepared.patients[case])) == 1 and np.all(np.diff(case) > 0)


def test_thin_slices_are_taken_about_the_fitted_distance_apart(prepared):
    everything = np.arange(len(prepared))
    taken = select_slices(TASK, prepared, everything, FOUR_MM)
    assert len(taken) < len(everything)
    for case in cases_of(prepared, everything):
        own = case[np.isin(case, taken)]
        heights = [prepared.record(int(place)).affine[2, 3] for place in own]
        distance = case_spacing(prepared, case)[0]
        assert len(own) >= 1
        if distance > 4.0:
            np.testing.assert_array_equal(own, case)
        elif len(own) > 1:
            assert 2.5 < np.median(-np.diff(heights)) < 6


def test_taking_twice_is_taking_once_and_the_order_stays(prepared):
    mixed = np.random.default_rng(0).permutation(len(prepared))
    once = select_slices(TASK, prepared, mixed, FOUR_MM)
    np.testing.assert_array_equal(once, mixed[np.isin(mixed, once)])
    np.testing.assert_array_equal(select_slices(TASK, prepared, once, FOUR_MM), once)


def test_of_a_case_in_part_something_is_left(prepared):
    for case in cases_of(prepared, np.arange(len(prepared))):
        for part in (case, case[:1]):
            assert len(select_slices(TASK, prepared, part, FOUR_MM | {"slice_mm": 1000.0})) == 1


def test_without_a_fitted_spacing_all_slices_are_taken(prepared):
    plain = with_values(TASK, {"spacing": {}})
    records = np.arange(len(prepared))
    np.testing.assert_array_equal(select_slices(plain, prepared, records, {}), records)
    assert not len(select_slices(TASK, prepared, records[:0], FOUR_MM))


def test_a_patient_is_answered_for_by_the_slices_that_are_taken(run, prepared):
    def answers(slice_mm, records):
        fitted = {**run.values["fitted"], "slice_mm": slice_mm}
        return predict_records(model, Subset(run.task, prepared, records, fitted))

    model, everything = load_network(run), np.arange(len(prepared))
    taken = select_slices(TASK, prepared, everything, {"slice_mm": 6.0})
    assert len(taken) < len(everything)
    np.testing.assert_allclose(answers(6.0, everything), answers(6.0, taken), atol=1e-6)
    assert np.abs(answers(6.0, everything) - answers(0.001, everything)).max() > 1e-6  # all of them


def test_the_export_says_what_was_fitted_and_padding_changes_no_answer(run, prepared, home):
    with pytest.MonkeyPatch.context() as patch:  # limits for a handful of patients
        patch.setattr(false_alarms, "FEWEST", 2)
        exported = export_run(run.save(familiar=None), prepared, home / "saved")  # compares with the run
    fitted = json.loads((exported / "assets.extra" / "fitted.json").read_text())
    assert fitted == run.values["fitted"]
    record = prepared.record(int(positions_of(run, prepared)[2][0]))
    one = {
        "slices": record.image[None, None].astype(np.float32),
        "intensity_stats": record.intensity_stats[None, None],
        "record_mask": record.mask[None, None].astype(np.float32),
        "spacing_mm": np.array([[record.spacing_mm[1:]]], np.float32),
        "mask": np.ones((1, 1), np.float32),
    }
    more = {
        name: np.pad(array, [(0, 0), (0, 3), *[(0, 0)] * (array.ndim - 2)])
        for name, array in one.items()
    }
    other = {**one, "spacing_mm": 2 * one["spacing_mm"]}  # in other millimetres, another image
    far = {**more, "spacing_mm": 50 * more["spacing_mm"]}
    with session_of(exported) as call:
        answers = [call("slices", feed) for feed in (one, more, other, far)]
    names = json.loads((exported / "assets.extra" / "familiar.json").read_text())["images"]["names"]
    assert {"spacing between rows in mm", "source extent along z in mm"} <= set(names)
    assert [answer["out_of_distribution"].tolist() for answer in answers[:2]] == [[0], [0]]
    assert answers[3]["out_of_distribution"].tolist() == [1]  # by its spacing; padding does not count
    assert answers[3]["slice_out_of_distribution"].tolist() == [[1, 0, 0, 0]]
    for name in ("probabilities", "logits"):
        assert np.isfinite(answers[1][name]).all()
        np.testing.assert_allclose(answers[0][name], answers[1][name], atol=1e-6)
    assert np.abs(answers[2]["logits"] - answers[0]["logits"]).max() > 1e-6


def test_a_record_without_spacing_is_refused_by_name():
    bare = SimpleNamespace(
        record_ids=np.array(["000000-0000"], dtype=object),
        record=lambda position: Record("000000-0000", "p", np.zeros((4, 4, 1), np.float32)),
    )
    with pytest.raises(InputError, match="spacing in mm is known") as error:
        case_spacing(bare, np.array([0]))
    assert "000000-0000" in str(error.value)


def test_a_set_without_masks_is_refused(prepared):
    bare = SimpleNamespace(masks=(), folder="set")
    with pytest.raises(InputError, match="cuts slices to their masks"):
        check_masks(TASK, bare)
    check_masks(TASK, prepared)


@pytest.mark.parametrize(
    "values",
    [
        {"spacing.margin": 6.0},
        {"spacing.margin_mm": -1.0},
        {"spacing.medians": 0.0},
        {"spacing.grid": (32, 32, 32)},
        {"box": dict(around="brain", grid=(8, 8, 8))},
        {"spacing": dict(margin_mm=3.0)},
    ],
)
def test_a_spacing_that_cannot_be_is_refused_before_data_is_read(values):
    with pytest.raises(InputError):
        check_task(with_values(TASK, values))
