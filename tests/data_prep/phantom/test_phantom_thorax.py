"""The synthetic thorax: plausible, ordered, left-right correct, reproducible."""

from collections import Counter
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from phantom_files import rows_of, written_phantom
from raw_folders import files_of

from data_prep.phantom.shapes import Column, Ellipsoid, Tube, make_grid
from data_prep.phantom.thorax.dataset import (
    LEVELS,
    PHASES,
    STRUCTURES,
    draw_patient,
    render,
    write_thorax_phantom,
)

# Bounds in mL, wide enough for every adult and for what the scan may cut off.
VOLUME_ML = {
    "sternum": (25, 130), "ascending_aorta": (12, 160), "descending_aorta": (15, 160),
    "right_pulmonary_artery": (6, 70), "vertebrae": (90, 500), "right_atrium": (12, 260),
    "left_atrium": (12, 220), "right_ventricle": (30, 400), "left_ventricle": (25, 300),
    "myocardium": (30, 400), "left_pulmonary_artery": (4, 50), "pulmonary_trunk": (8, 90),
    "aortic_root": (8, 100), "aortic_arch": (15, 130), "superior_vena_cava": (3, 80),
    "inferior_vena_cava": (4, 100),
}  # fmt: skip


def _draw(seed):
    return draw_patient(np.random.default_rng(seed))


@pytest.fixture(scope="module")
def scans():
    return [(patient, render(patient)) for patient in map(_draw, range(6))]


def _centroid(scan, name):
    index = np.argwhere(scan.labels == STRUCTURES.index(name)).mean(axis=0)
    return nib.affines.apply_affine(scan.affine, index)


def test_every_structure_is_present_with_a_plausible_volume(scans):
    for patient, scan in scans:
        voxel_ml = abs(np.linalg.det(scan.affine[:3, :3])) / 1000
        for name, (low, high) in VOLUME_ML.items():
            volume = (scan.labels == STRUCTURES.index(name)).sum() * voxel_ml
            assert low < volume < high, (name, volume, patient)
        assert scan.labels.max() == len(STRUCTURES) - 1


def test_arrays_have_the_stated_types_sizes_and_range(scans):
    for patient, scan in scans:
        assert scan.hounsfield.dtype == np.int16 and scan.labels.dtype == np.uint8
        assert scan.hounsfield.shape == scan.labels.shape == (160, 160, patient.slices)
        assert 45 <= patient.slices <= 80 and 3 <= patient.slice_mm <= 6
        assert len(scan.level_of_slice) == patient.slices
        assert scan.hounsfield.min() >= -1024 and scan.hounsfield.max() <= 3071


def test_every_level_is_one_run_of_slices_in_anatomical_order_with_gaps(scans):
    for _, scan in scans:
        head_first = scan.level_of_slice[::-1]
        runs = [a for a, b in zip(head_first, ("", *head_first), strict=False) if a != b]
        assert tuple(run for run in runs if run) == LEVELS
        inner = runs[runs.index(LEVELS[0]) : runs.index(LEVELS[-1]) + 1]
        assert inner[1::2] == [""] * (len(LEVELS) - 1)  # unlabelled slices between neighbours


def test_slices_of_a_level_show_the_structures_in_its_name(scans):
    for _, scan in scans:
        shown = {level: set() for level in LEVELS}
        for k, level in enumerate(scan.level_of_slice):
            if level:
                shown[level] |= {STRUCTURES[i] for i in np.unique(scan.labels[:, :, k])}
        assert "aortic_arch" in shown["aortic_arch"]
        assert {"ascending_aorta", "descending_aorta"} <= shown["ascending_descending_aorta"]
        assert "aortic_arch" not in shown["great_vessels_origin"]
        assert {"right_pulmonary_artery", "pulmonary_trunk"} <= shown["pulmonary_arteries"]
        assert "aortic_root" in shown["aortic_root"]
        assert {"left_atrium", "right_atrium", "left_ventricle", "right_ventricle"} <= shown[
            "four_chamber"
        ]
        assert {"left_ventricle", "right_ventricle"} <= shown["ventricles_below_valves"]


def test_left_and_right_follow_the_affine(scans):
    for _, scan in scans:
        spine = _centroid(scan, "vertebrae")[0]
        assert _centroid(scan, "left_ventricle")[0] < spine - 10  # +x is the patient's right
        assert _centroid(scan, "descending_aorta")[0] < spine
        assert _centroid(scan, "superior_vena_cava")[0] > spine + 5
        assert _centroid(scan, "inferior_vena_cava")[0] > spine + 5
        assert _centroid(scan, "sternum")[1] > _centroid(scan, "vertebrae")[1]  # +y anterior
        assert _centroid(scan, "aortic_arch")[2] > _centroid(scan, "aortic_root")[2]  # +z superior


def test_blood_is_enhanced_as_the_contrast_phase_says(scans):
    blood = {"pulmonary_trunk": 2, "left_ventricle": 3, "ascending_aorta": 4}
    for patient, scan in scans:
        for name, column in blood.items():
            mean = PHASES[patient.phase][column]
            measured = np.median(scan.hounsfield[scan.labels == STRUCTURES.index(name)])
            assert 0.85 * mean - 20 < measured < 1.15 * mean + 20, (name, patient.phase)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(scans):
    again = render(_draw(0))
    assert again.hounsfield.tobytes() == scans[0][1].hounsfield.tobytes()
    assert again.labels.tobytes() == scans[0][1].labels.tobytes()
    assert _draw(1) != scans[0][0]
    noisier = render(replace(scans[0][0], noise_seed=1))
    assert noisier.hounsfield.tobytes() != again.hounsfield.tobytes()
    assert noisier.labels.tobytes() == again.labels.tobytes()


def test_shapes_cover_their_geometric_volume_whatever_the_rotation():
    affine = np.diag([1.5, 1.5, 2.0, 1.0])
    affine[:3, 3] = -45
    turn = np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1.0]])
    grid = make_grid((61, 61, 46), affine, turn, ())
    two = np.ones(2)
    cases = [
        (Ellipsoid(np.zeros(3), np.array([30.0, 20, 25])), 4 / 3 * np.pi * 30 * 20 * 25),
        (Tube(np.array([[0, 0, -30.0], [0, 0, 30]]), np.array([12.0, 12]), True), np.pi * 144 * 60),
        (
            Column(np.array([-30.0, 30]), 0 * two, 0 * two, 20 * two, 20 * two, 15 * two),
            np.pi * 300 * 60,
        ),
    ]
    for shape, expected in cases:
        filled = np.zeros(grid.x.shape, bool)
        for box, mask in shape.pieces(grid):
            filled[box] |= mask
        assert filled.sum() * 4.5 == pytest.approx(expected, rel=0.06)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return written_phantom(tmp_path_factory, write_thorax_phantom, 2, 3)


def test_the_raw_folder_holds_what_the_layout_says(written):
    folder, calls = written
    seg, lev = ["seg-001", "seg-002"], ["lev-001", "lev-002", "lev-003"]
    names = {f"volumes/{n}.nii.gz" for n in seg + lev} | {f"labels/{n}.nii.gz" for n in seg}
    assert set(files_of(folder)) == names | {"levels.csv"}
    assert calls == [(k, 5) for k in range(1, 6)]
    rows = rows_of(folder / "levels.csv")
    assert {row["patient_id"] for row in rows} == set(lev)
    counts = Counter((row["patient_id"], row["level"]) for row in rows)
    assert set(counts) == {(n, level) for n in lev for level in LEVELS}
    assert max(counts.values()) <= 3


def test_stored_axis_orders_differ_but_world_coordinates_agree(written):
    folder, _ = written
    codes = set()
    for kind, prefix, count in ((0, "seg", 2), (1, "lev", 3)):
        for k in range(count):
            patient = draw_patient(np.random.default_rng([5, kind, k]))
            stored = nib.load(folder / f"volumes/{prefix}-{k + 1:03d}.nii.gz")
            order = "".join(nib.aff2axcodes(stored.affine))
            codes.add(order)
            assert order == patient.axis_codes
            assert stored.get_data_dtype() == np.int16
            if prefix == "seg":
                scan, ras = render(patient), nib.as_closest_canonical(stored)
                assert np.array_equal(np.asarray(ras.dataobj), scan.hounsfield)
                assert np.allclose(ras.affine, scan.affine, atol=1e-3)
                labels = nib.load(folder / f"labels/{prefix}-{k + 1:03d}.nii.gz")
                assert labels.shape == stored.shape and labels.get_data_dtype() == np.uint8
                assert np.array_equal(labels.affine, stored.affine)
    assert len(codes) > 1


def test_each_labelled_height_is_a_slice_centre_of_its_volume(written):
    folder, _ = written
    patient = draw_patient(np.random.default_rng([5, 1, 0]))
    levels = render(patient).level_of_slice
    image = nib.as_closest_canonical(nib.load(folder / "volumes/lev-001.nii.gz"))
    heights = image.affine[2, 3] + image.affine[2, 2] * np.arange(image.shape[2])
    for row in rows_of(folder / "levels.csv"):
        if row["patient_id"] == "lev-001":
            k = int(np.argmin(np.abs(heights - float(row["z_mm"]))))
            assert abs(heights[k] - float(row["z_mm"])) < 0.01
            assert levels[k] == row["level"]


def test_without_signal_levels_are_permuted_but_keep_their_counts(written, tmp_path):
    (tmp_path / "volumes").mkdir()
    for path in (written[0] / "volumes").glob("lev-*"):  # the images are the same
        (tmp_path / "volumes" / path.name).write_bytes(path.read_bytes())
    write_thorax_phantom(tmp_path, 0, 3, seed=5, signal=False)
    true, mixed = (rows_of(folder / "levels.csv") for folder in (written[0], tmp_path))
    assert [(r["patient_id"], r["z_mm"]) for r in true] == [(r["patient_id"], r["z_mm"]) for r in mixed]
    assert Counter(r["level"] for r in true) == Counter(r["level"] for r in mixed)
    agreement = np.mean([a["level"] == b["level"] for a, b in zip(true, mixed, strict=True)])
    assert agreement < 0.4
