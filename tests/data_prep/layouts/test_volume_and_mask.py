"""Meningioma cases to records: native pixels about the tumour, any orientation, named reasons."""

import numpy as np
import pytest
from volumes import assert_same_records, save_nifti

from data_prep.case import Unreadable
from data_prep.layouts.volume_and_mask import list_cases, read_case
from data_prep.ops.average import average_groups, averaging_factors
from data_prep.volume import Volume
from mri_tf.core.errors import InputError
from mri_tf.task.files import find_task_file, load_task
from mri_tf.task.overrides import with_values

SPACING_MM = (0.6, 0.9, 2.5)  # x, y, z
SHAPE = (60, 44, 12)
TUMOUR = (slice(20, 41), slice(15, 26), slice(3, 8))
TASK = with_values(
    load_task(find_task_file("meningioma_grading")), {"image_shape": (52, 48), "prep": {}}
)


def _case(seed=0):
    """Image and mask (x, y, z) with an affine whose origin is nowhere special."""
    image = np.random.default_rng(seed).normal(100, 20, SHAPE).astype(np.float32)
    mask = np.zeros(SHAPE, np.uint8)
    mask[TUMOUR] = 1
    image[mask > 0] += 150
    affine = np.diag([*SPACING_MM, 1.0])
    affine[:3, 3] = (-31.0, 12.5, -143.0)
    return image, mask, affine


def _write(raw, image, mask, affine, codes="RAS", mask_affine=None, table="patient_id,grade\np,II\n"):
    save_nifti(raw / "p" / "t1ce.nii.gz", image, affine, codes)
    if mask is not None:
        mask_affine = affine if mask_affine is None else mask_affine
        save_nifti(raw / "p" / "mask.nii.gz", mask, mask_affine, codes)
    (raw / "manifest.csv").write_text(table, encoding="utf-8")
    return raw


def _records(raw, task=TASK):
    (case,) = list_cases(raw, task)
    return read_case(raw, case, task)


def test_records_are_the_slices_with_tumour_head_first_on_the_images_own_pixels(tmp_path):
    image, mask, affine = _case()
    records = _records(_write(tmp_path, image, mask, affine))
    assert len(records) == 5
    assert [record.label for record in records] == [1] * 5
    for number, record in enumerate(records):
        z = 7 - number
        assert record.image.shape == (52, 48, 1) and record.mask.shape == (52, 48)
        np.testing.assert_allclose(record.spacing_mm, SPACING_MM[::-1], rtol=1e-6)
        assert record.mask.sum() == 21 * 11
        # Each pixel is the voxel that the affine says, and 0 beyond the image.
        rows, columns = np.indices((52, 48))
        there = np.stack([columns, rows, 0 * rows, 1 + 0 * rows], -1) @ record.affine.T
        voxel = np.rint(there @ np.linalg.inv(affine).T)[..., :3].astype(int)
        assert np.all(voxel[..., 2] == z)
        inside = np.all((voxel >= 0) & (voxel < SHAPE), axis=-1)
        at = tuple(np.clip(voxel, 0, np.array(SHAPE) - 1)[..., axis] for axis in range(3))
        np.testing.assert_array_equal(record.image[..., 0], np.where(inside, image[at], 0))
        np.testing.assert_array_equal(record.mask, np.where(inside, mask[at], 0))


def test_rows_run_front_to_back_and_columns_from_the_patients_right(tmp_path):
    image, mask, affine = _case()
    image[38:41, 15:18] = 9000  # right and back of the tumour
    record = _records(_write(tmp_path, image, mask, affine))[0]
    row, column = (places.mean() for places in np.nonzero(record.image[..., 0] == 9000))
    rows, columns = (places.mean() for places in np.nonzero(record.mask))
    assert row > rows and column < columns


@pytest.mark.parametrize("codes", ["LPS", "PIR", "ASL", "SAR", "IPL"])
def test_the_order_of_stored_axes_changes_nothing(codes, tmp_path):
    case = _case()
    expected = _records(_write(tmp_path / "ras", *case))
    found = _records(_write(tmp_path / codes, *case, codes))
    assert_same_records(found, expected)


def test_statistics_are_those_of_the_whole_case_on_every_slice(tmp_path):
    image, mask, affine = _case()
    for record in _records(_write(tmp_path, image, mask, affine)):
        np.testing.assert_allclose(record.intensity_stats[0, 0], (image.mean(), image.std()), rtol=1e-4)


def test_fine_voxels_are_averaged_in_groups_and_say_so(tmp_path):
    image, mask, affine = _case()
    task = with_values(TASK, {"prep.finest_mm": (1.25, 5.0), "image_shape": (24, 28)})
    records = _records(_write(tmp_path, image, mask, affine), task)
    np.testing.assert_allclose(records[0].spacing_mm, (5.0, 0.9, 1.2), rtol=1e-6)
    # z 6 and 7 together, the first slice with tumour: the middle of x 20..41 is its 15th pair.
    pair = image[30:32, 20, 6:8].mean()
    there = np.linalg.inv(records[0].affine) @ affine @ [30.5, 20, 6.5, 1]
    column, row, depth = np.rint(there[:3]).astype(int)
    np.testing.assert_allclose(there[:3], (column, row, depth), atol=1e-4)
    assert records[0].image[row, column, 0] == pytest.approx(pair, rel=1e-5)


@pytest.mark.parametrize(
    "spacing, finest, factors",
    [
        ((0.21, 0.26, 0.49), (0.4, 0.4, 2.0), (2, 2, 4)),
        ((0.3, 0.5, 1.5), (0.4, 0.4, 2.0), (1, 1, 1)),
        ((0.4, 1.0, 5.5), (0.4, 0.4, 2.0), (1, 1, 1)),
    ],
)
def test_factors_leave_what_is_not_much_finer(spacing, finest, factors):
    assert averaging_factors(spacing, finest) == factors


def test_an_average_keeps_places_and_means_with_a_smaller_group_at_the_end():
    array = np.arange(7, dtype=np.float32).reshape(7, 1, 1)
    affine = np.diag([0.5, 1.0, 1.0, 1.0])
    affine[0, 3] = 10.0
    found = average_groups(Volume(array, affine), (3, 1, 1))
    np.testing.assert_array_equal(found.array.ravel(), [1, 4, 6])
    np.testing.assert_allclose(found.affine @ [1, 0, 0, 1], affine @ [4, 0, 0, 1])
    assert found.spacing_mm == (1.5, 1.0, 1.0)


def _other_grid(mask, affine):
    return mask[:-1], affine


def _elsewhere(mask, affine):
    moved = affine.copy()
    moved[0, 3] += 3
    return mask, moved


@pytest.mark.parametrize(
    "change, reason",
    [
        (lambda mask, affine: (None, affine), "mask: the file does not exist"),
        (lambda mask, affine: (0 * mask, affine), "mask is empty"),
        (_other_grid, "the label map has shape"),
        (_elsewhere, "the label map is not aligned with the image"),
        (lambda mask, affine: (0 * mask + 1, affine), r"the tumour is 40 x 36 mm, 44 x 60 pixels"),
    ],
)
def test_a_mask_that_cannot_be_used_is_a_reason(change, reason, tmp_path):
    image, mask, affine = _case()
    mask, mask_affine = change(mask, affine)
    raw = _write(tmp_path, image, mask, affine, mask_affine=mask_affine)
    with pytest.raises(Unreadable, match=reason):
        _records(raw)


def test_a_tumour_thinner_than_half_a_group_keeps_its_fullest_voxels(tmp_path):
    image, mask, affine = _case()
    mask[:] = 0
    mask[20:24, 15:19, 5] = 1  # one slice of the four that become one
    task = with_values(TASK, {"prep.finest_mm": (0.4, 10.0)})
    records = _records(_write(tmp_path, image, mask, affine), task)
    assert len(records) == 1 and records[0].mask.sum() == 16


@pytest.mark.parametrize(
    "table, rule",
    [
        ("patient_id,grade\np,IV\n", "grade in manifest.csv must be one of"),
        ("patient_id,grade\np,\n", "grade in manifest.csv must be one of"),
        ("patient_id,grade\np,I\np,II\n", "Patients have several rows"),
        ("patient_id,grade\n,I\n", "Every row of manifest.csv must have a patient_id"),
        ("patient_id\np\n", "manifest.csv must have the columns"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_before_a_file_is_read(table, rule, tmp_path):
    (tmp_path / "manifest.csv").write_text(table, encoding="utf-8")
    with pytest.raises(InputError, match=rule):
        list_cases(tmp_path, TASK)


def test_rows_without_a_grade_are_left_out_and_digits_are_grades(tmp_path):
    table = "patient_id,grade,scanner,field_strength_t\na,1,x,3\nb,,,\nc,3,,\nd,I,,\n"
    (tmp_path / "manifest.csv").write_text(table, encoding="utf-8")
    cases = list_cases(tmp_path, TASK)
    assert [(case.patient, case.label) for case in cases] == [
        ("a", "I"), ("c", "II_III"), ("d", "I"),
    ]  # fmt: skip
    assert cases[0].facts == {"scanner": "x", "field_strength_t": "3"}


@pytest.mark.parametrize(
    "values", [{"prep.finest_mm": 0.4}, {"prep.finest_mm": (0.0, 2.0)}, {"class_names": ("I", "II")}]
)
def test_a_task_that_the_studies_cannot_serve_is_refused(values, tmp_path):
    _write(tmp_path, *_case())
    with pytest.raises(InputError):
        list_cases(tmp_path, with_values(TASK, values))


def test_neighbours_at_the_end_of_a_tumour_are_slices_without_it(tmp_path):
    image, mask, affine = _case()
    raw = _write(tmp_path, image, mask, affine)
    alone, seen = _records(raw), _records(raw, with_values(TASK, {"context_slices": 1}))
    assert len(seen) == len(alone) == 5
    for number, (one, other) in enumerate(zip(seen, alone, strict=True)):
        np.testing.assert_array_equal(one.own_slice, other.image)
        np.testing.assert_array_equal(one.mask, other.mask)
        np.testing.assert_array_equal(one.affine, other.affine)
        assert one.facts["neighbouring_slices"] == [True, True]
        assert one.intensity_stats.shape == (2, 3, 2)
        if number:  # head first: the one above is the record before
            np.testing.assert_array_equal(one.image[..., 2:], alone[number - 1].image)
    assert not np.array_equal(seen[0].image[..., 2], seen[0].image[..., 1])
