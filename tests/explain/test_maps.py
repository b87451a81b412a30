"""Maps are placed where their voxels came from: prepared grid, box, and the patient's own file."""

import dataclasses

import nibabel
import numpy as np
import pytest

from data_prep.case import Case
from data_prep.cases.case_volumes import Masks
from data_prep.cases.volume_case import case_record
from data_prep.volume import to_ras_volume
from mri_tf.explain.maps import Explained, attribution_of, network_affine, write_map
from mri_tf.pipeline.boxes import cube_around, resample_cube
from mri_tf.pipeline.spacing import spaced_slices
from mri_tf.store.record import Record
from mri_tf.task import Task

SHAPE = (18, 22, 14)  # x, y, z of the source
LANDMARK = (12, 5, 9)
AFFINE = np.array(
    [[1.9, 0.3, 0.0, -20.0], [-0.3, 2.1, 0.2, 11.0], [0.1, -0.2, 3.0, 7.0], [0, 0, 0, 1.0]]
)
TASK = dict(
    name="grade", channels=("t1",), class_names=("low", "high"), model="grader3d",
    image_shape=(24, 32, 32), normalize=dict(method="zscore"),
)  # fmt: skip


def record_of(task: Task, codes: str = "LPS"):
    """A head with one bright voxel, stored with its axes in another order, prepared for a task."""
    array = np.zeros(SHAPE, np.float32)
    array[4:15, 3:19, 3:12] = 5 + np.random.default_rng(0).random((11, 16, 9))
    array[LANDMARK] = 100
    image = nibabel.Nifti1Image(array, AFFINE)
    turn = nibabel.orientations.ornt_transform(
        nibabel.orientations.io_orientation(AFFINE), nibabel.orientations.axcodes2ornt(codes)
    )
    stored = image.as_reoriented(turn)
    volume = to_ras_volume(np.asarray(stored.dataobj), stored.affine)
    (record,) = case_record({"t1": volume}, Masks(), Case("p", {}), task, ("t1",))
    return record, stored


def explained(record, cam, affine) -> Explained:
    return Explained(record, np.array([0.2, 0.8]), 1, cam, cam, affine)


@pytest.mark.parametrize("codes", ["RAS", "LPS", "PIR", "SAL"])
def test_a_map_is_written_on_the_voxels_of_the_patient_s_file(codes, tmp_path):
    task = Task(**TASK)
    record, stored = record_of(task, codes)
    write_map(record.image[..., 0], explained(record, record.image[..., 0], record.affine),
                tmp_path / "map.nii.gz")  # fmt: skip
    found = nibabel.load(tmp_path / "map.nii.gz")
    assert found.shape == stored.shape
    np.testing.assert_allclose(found.affine, stored.affine, atol=1e-4)
    brightest = np.unravel_index(np.argmax(found.get_fdata()), found.shape)
    expected = np.unravel_index(np.argmax(np.asarray(stored.dataobj)), stored.shape)
    assert np.abs(np.subtract(brightest, expected)).max() <= 1


def test_a_box_s_map_lies_where_the_box_was_cut_out():
    task = Task(**TASK, box=dict(around="brain", margin_voxels=0, grid=(16, 16, 16)))
    record, _ = record_of(task)
    around = np.any(record.image != 0, axis=-1).astype(np.int32)
    box = resample_cube(record.image, *cube_around(around, 0), (16, 16, 16)).numpy()[..., 0]
    placed = explained(record, box, network_affine(task, record, {})).on_prepared_grid(box)
    inside = around > 0
    assert np.corrcoef(placed[inside], record.image[..., 0][inside])[0, 1] > 0.8
    prepared = record.image[..., 0]
    brightest = [np.unravel_index(np.argmax(one), placed.shape) for one in (placed, prepared)]
    assert np.abs(np.subtract(*brightest)).max() <= 1


def test_a_map_on_the_prepared_grid_comes_back_as_it_is():
    record, _ = record_of(Task(**TASK))
    cam = np.random.default_rng(1).random((24, 32, 32)).astype(np.float32)
    np.testing.assert_allclose(
        explained(record, cam, record.affine).on_prepared_grid(cam), cam, atol=1e-5
    )


def test_shares_say_in_which_tissue_a_map_lies():
    record, _ = record_of(Task(**TASK))
    image = record.image[..., 0]
    outside = (image == 0).astype(np.float32)
    assert attribution_of(explained(record, outside, record.affine)).shares["outside"] > 0.9
    inside = (image > np.percentile(image, 90)).astype(np.float32)
    assert attribution_of(explained(record, inside, record.affine)).shares["outside"] < 0.1


def test_nothing_is_said_of_the_tumour_of_a_record_without_a_mask():
    record, _ = record_of(Task(**TASK))
    mask = (record.image[..., 0] > 0).astype(np.int32)
    marked = dataclasses.replace(record, mask=mask)
    assert "tumour" in attribution_of(explained(marked, record.image[..., 0], record.affine)).shares
    shares = attribution_of(explained(record, record.image[..., 0], record.affine)).shares
    assert set(shares) == {"brain", "border", "outside"} and sum(shares.values()) == pytest.approx(1)


def test_a_resampled_slice_s_map_lies_where_its_pixels_were_taken_from():
    task = Task(
        **TASK | dict(channels=("x", "y"), image_shape=(40, 48), model="backbone_classifier"),
        spacing=dict(grid=(24, 20), margin_mm=100.0, medians=1.5),
    )
    affine = np.array(
        [[-0.6, 0.1, 0.0, 20.0], [-0.1, -0.9, 0.2, 11.0], [0.0, 0.1, 3.0, 7.0], [0, 0, 0, 1.0]]
    )
    rows, columns = np.indices((40, 48))
    there = np.stack([columns, rows, 0 * rows, 1 + 0 * rows], axis=-1) @ affine.T  # RAS mm
    mask = np.zeros((40, 48), np.uint8)
    mask[12:23, 20:37] = 1
    record = Record("r", "p", there[..., :2].astype(np.float32), 0, mask=mask, affine=affine)
    beyond = 1e4
    seen = spaced_slices(
        record.image[None], mask[None], np.array([record.spacing_mm[1:]], np.float32),
        np.full((1, 2), beyond, np.float32), 1.5 * 0.7, (24, 20), 100.0,
    ).numpy()[0]  # fmt: skip
    placed = network_affine(task, record, {"pixel_mm": 0.7})
    rows, columns = np.indices((24, 20))
    expected = np.stack([columns, rows, 0 * rows, 1 + 0 * rows], axis=-1) @ placed.T
    known = seen[..., 0] != beyond
    known[:2], known[-2:] = False, False  # the slice's border: what it averages is cut off
    assert known.sum() > 200
    # A triangle over few pixels gives a ramp back to a tenth of a pixel (1.05 mm).
    np.testing.assert_allclose(seen[known], expected[known][:, :2], atol=0.1)
