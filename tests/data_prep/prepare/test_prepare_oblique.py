"""An oblique, anisotropic volume, whole path: raw files -> command -> records, in any axis order."""

import dataclasses
import itertools
from pathlib import Path

import nibabel
import numpy as np
import pytest
from raw_folders import run_prepare
from scipy import ndimage
from volumes import affine_of, assert_same_records, save_nifti

from data_prep.ops.axial import nearest_slice, tilt_degrees
from data_prep.volume import Volume
from mri_tf.store.prepared import Prepared
from mri_tf.store.record import Record
from mri_tf.task.files import find_task_file, load_task

SHAPE = (26, 21, 9)  # x, y, z
SPACING_MM = (0.7, 0.9, 2.5)
ORIGIN_MM = (-31.0, 12.5, -143.0)
LEVELS = load_task(find_task_file("cardiac_levels")).class_names  # nine, one a slice


def _turned(*degrees: float) -> np.ndarray:
    return affine_of(degrees, SPACING_MM, ORIGIN_MM)


OBLIQUE = _turned(20, 20, 0)


def _centre_heights_mm(affine: np.ndarray) -> list[float]:
    """Of each slice at the volume's centre in plane: what levels.csv holds."""
    centre = [(SHAPE[0] - 1) / 2, (SHAPE[1] - 1) / 2]
    return [float((affine @ [*centre, z, 1])[2]) for z in range(SHAPE[2])]


def _noise() -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(0)
    image = draw.integers(-1000, 1500, SHAPE).astype(np.int16)
    return image, draw.integers(0, 17, SHAPE).astype(np.uint8)


def _save(raw: Path, name: str, arrays, affine, orders=("RAS", "RAS"), form: str = "sform") -> list:
    """Saves a volume and its label map, each in an order of its own; returns both files."""
    places = zip(("volumes", "labels"), arrays, orders, strict=True)
    return [
        nibabel.load(save_nifti(raw / folder / f"{name}.nii.gz", array, affine, order, form))
        for folder, array, order in places
    ]


def _write_raw(raw: Path, affine, orders=("RAS", "RAS"), form: str = "sform") -> None:
    """A volume and its label map, and every slice's level."""
    _save(raw, "p", _noise(), affine, orders, form)
    rows = zip(_centre_heights_mm(affine), LEVELS, strict=True)
    (raw / "levels.csv").write_text(
        "patient_id,z_mm,level\n" + "".join(f"p,{height},{level}\n" for height, level in rows)
    )


def _prepare(raw: Path, task: str) -> Prepared:
    out = raw.with_name(f"{raw.name}-{task}")
    assert run_prepare(task, raw, out) == 0
    return Prepared.open(out)


def _records(prepared: Prepared) -> list[Record]:
    """Records with images of (rows, columns)."""
    records = map(prepared.record, range(len(prepared)))
    return [dataclasses.replace(record, image=record.image[..., 0]) for record in records]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """(task, orders, form) -> records; the volume prepared once each."""
    made = {}

    def get(task: str, orders: tuple[str, str], form: str = "sform") -> list[Record]:
        raw = tmp_path_factory.getbasetemp() / "oblique" / "-".join([*orders, form])
        if (task, raw) not in made:
            if not raw.exists():
                _write_raw(raw, OBLIQUE, orders, form)
            made[task, raw] = _records(_prepare(raw, task))
        return made[task, raw]

    return get


@pytest.mark.parametrize("orders", [("LPS", "LPS"), ("PIR", "PIR"), ("RAS", "PIR"), ("SAL", "LPS")])
@pytest.mark.parametrize("task", ["cardiac_levels", "cardiac_structures"])
def test_an_oblique_volume_of_any_axis_order_gives_identical_slices(prepared, task, orders):
    expected, found = prepared(task, ("RAS", "RAS")), prepared(task, orders)
    assert len(expected) == len(found) == SHAPE[2]
    assert len({record.image.tobytes() for record in expected}) == SHAPE[2]
    assert_same_records(found, expected, affine_atol=1e-3)
    assert [record.label for record in found] == [record.label for record in expected]


def test_placed_by_a_quaternion_the_slices_are_those_of_a_matrix(prepared):
    # The quaternion is rounded, so that spacings differ in their seventh digit.
    expected = prepared("cardiac_structures", ("RAS", "RAS"))
    found = prepared("cardiac_structures", ("PIR", "LPS"), "qform")
    assert_same_records(found, expected, image_atol=1, affine_atol=1e-3)


@pytest.mark.parametrize("task", ["cardiac_levels", "cardiac_structures"])
def test_slices_come_head_first_rows_to_the_back_and_columns_to_the_patients_left(prepared, task):
    records = prepared(task, ("PIR", "LPS"))
    for record in records:
        along_columns, along_rows = record.affine[:3, 0], record.affine[:3, 1]
        # The longest component leads to the left (x falls), and to the back (y falls).
        assert np.abs(along_columns).argmax() == 0 and along_columns[0] < 0
        assert np.abs(along_rows).argmax() == 1 and along_rows[1] < 0
        # Square pixels, as small as lets the longer side of 21 x 0.9 mm in.
        np.testing.assert_allclose(
            np.linalg.norm(record.affine[:3, :2], axis=0), [21 * 0.9 / 128] * 2, rtol=1e-5
        )
    corners = np.array([record.affine[:3, 3] for record in records])
    assert (np.diff(corners[:, 2]) < 0).all()
    np.testing.assert_allclose(np.linalg.norm(np.diff(corners, axis=0), axis=1), 2.5, rtol=1e-4)


def test_each_height_of_the_table_finds_its_own_slice_and_level(prepared):
    records = prepared("cardiac_levels", ("PIR", "PIR"))
    assert [record.label for record in records] == list(range(len(LEVELS)))[::-1]
    middle = [record.affine @ [63.5, 63.5, 0, 1] for record in records]
    heights = _centre_heights_mm(OBLIQUE)[::-1]
    np.testing.assert_allclose([place[2] for place in middle], heights, atol=1e-3)


def _values_at(stored, affine: np.ndarray, order: int, fill: float) -> np.ndarray:
    """(128, 128) of a file at the places that a record's affine gives its pixels."""
    columns, rows = np.meshgrid(np.arange(128), np.arange(128))
    pixels = np.stack([columns, rows, np.zeros_like(rows), np.ones_like(rows)])  # (4, rows, columns)
    voxels = np.tensordot(np.linalg.inv(stored.affine) @ affine, pixels, axes=1)[:3]
    array = stored.get_fdata()
    return ndimage.map_coordinates(array, voxels, order=order, mode="grid-constant", cval=fill)


@pytest.mark.parametrize("order", ["RAS", "LPS", "PIR"])
def test_every_pixel_is_what_the_stored_file_holds_where_the_records_affine_says(
    prepared, tmp_path, order
):
    volume, label_map = _save(tmp_path, "p", _noise(), OBLIQUE, (order, order))
    for record in prepared("cardiac_structures", ("PIR", "LPS")):
        expected = _values_at(volume, record.affine, 1, fill=-1024)
        np.testing.assert_allclose(record.image, expected, atol=1)
        same = record.mask == _values_at(label_map, record.affine, 0, fill=0)
        assert same.mean() > 0.999  # a pixel between two voxels may fall to either


def test_a_landmark_is_found_at_its_millimetres(tmp_path):
    # A voxel of bone and of label 1 in each slice, all at different places.
    image, labels = np.full(SHAPE, -1024, np.int16), np.zeros(SHAPE, np.uint8)
    voxels = [(3 + 2 * z, 18 - z, z) for z in range(SHAPE[2])]
    for voxel in voxels:
        image[voxel], labels[voxel] = 976, 1
    _save(tmp_path / "raw", "p", (image, labels), OBLIQUE, ("LPS", "PIR"))
    records = _records(_prepare(tmp_path / "raw", "cardiac_structures"))
    rows, columns = np.indices((128, 128))
    for record, voxel in zip(records, reversed(voxels), strict=True):
        for weight, atol in ((record.image + 1024.0, 0.01), (record.mask, 0.08)):  # half a pixel
            place = [(weight * columns).sum() / weight.sum(), (weight * rows).sum() / weight.sum()]
            found_mm = (record.affine @ [*place, 0, 1])[:3]
            np.testing.assert_allclose(found_mm, (OBLIQUE @ [*voxel, 1])[:3], atol=atol)


@pytest.mark.parametrize("degrees", [(0, 0, 0), (20, 20, 0), (-30, 0, 0), (10, -25, 15), (0, 38, 0)])
def test_a_height_finds_the_slice_whose_centre_is_nearest_however_the_volume_is_tilted(degrees):
    volume = Volume(np.zeros(SHAPE, np.int16), _turned(*degrees))
    centres = np.array(_centre_heights_mm(volume.affine))
    half = abs(centres[1] - centres[0]) / 2
    for height in np.random.default_rng(0).uniform(centres[0] - 3, centres[-1] + 3, 200):
        inside = centres[0] - half < height < centres[-1] + half
        expected = int(np.abs(centres - height).argmin()) if inside else None
        assert nearest_slice(volume, height) == expected


def _gantry_tilt(degrees: float) -> np.ndarray:
    """Slices tilted about the patient's x axis, stacked along the table: a shear, no rotation."""
    affine = _turned(0, 0, 0)
    affine[:, 1] = _turned(degrees, 0, 0)[:, 1]
    return affine


@pytest.mark.parametrize(
    ("affine", "tilt"),
    [(_turned(0, 0, 0), 0), (_turned(30, 0, 0), 30), (_turned(0, 0, -39), 39), (_gantry_tilt(30), 30)],
)
def test_a_tilt_is_the_angle_of_the_farthest_axis_and_is_taken(tmp_path, affine, tilt):
    assert tilt_degrees(Volume(np.zeros(SHAPE), affine)) == pytest.approx(tilt, abs=1e-4)
    _write_raw(tmp_path / "raw", affine)
    records = _records(_prepare(tmp_path / "raw", "cardiac_levels"))
    assert [record.label for record in records] == list(range(len(LEVELS)))[::-1]
    volume = nibabel.load(tmp_path / "raw/volumes/p.nii.gz")
    for record in records:
        expected = _values_at(volume, record.affine, 1, fill=-1024)
        np.testing.assert_allclose(record.image, expected, atol=1)


@pytest.mark.parametrize("tilted", [_turned(41, 0, 0), _turned(0, 30, 33), _gantry_tilt(42)])
@pytest.mark.parametrize("task", ["cardiac_levels", "cardiac_structures"])
def test_a_volume_tilted_beyond_40_degrees_is_skipped_with_its_angle(tmp_path, capsys, task, tilted):
    _write_raw(tmp_path / "raw", OBLIQUE)
    _save(tmp_path / "raw", "q", _noise(), tilted)
    with (tmp_path / "raw/levels.csv").open("a") as table:
        table.write(f"q,{_centre_heights_mm(tilted)[4]},aortic_arch\n")
    out = tmp_path / "set"
    assert run_prepare(task, tmp_path / "raw", out) == 1
    tilt = tilt_degrees(Volume(np.zeros(SHAPE), tilted))
    assert tilt > 40
    reason = f"the image's axes are tilted {tilt:.1f} degrees from the scanner's"
    assert f"skipped volumes/q.nii.gz: {reason}" in capsys.readouterr().err
    assert set(Prepared.open(out).patients) == {"p"}


def test_within_the_limit_no_two_axes_claim_the_same_direction():
    # Where an axis lies within 45 degrees of one of the scanner's, it lies beyond 45 of the others.
    for degrees in itertools.product((-35, -20, 0, 20, 35), repeat=3):
        affine = _turned(*degrees)
        if tilt_degrees(Volume(np.zeros(SHAPE), affine)) <= 40:
            assert nibabel.aff2axcodes(affine) == ("R", "A", "S")
