"""The synthetic brains: plausible, ordered, left-right correct, overlapping, reproducible."""

from collections import Counter
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from phantom_files import rows_of, written_phantom
from raw_folders import files_of
from sklearn.metrics import normalized_mutual_info_score, roc_auc_score

from data_prep.io.nifti import read_nifti
from data_prep.phantom.brain import dataset as brain
from data_prep.phantom.brain.structures import SIGNALS

# Bounds in mL, wide enough for every adult; the smallest structures are a few voxels.
VOLUME_ML = {
    "cerebral_grey": (300, 800), "third_ventricle": (0.3, 4), "fourth_ventricle": (0.5, 4),
    "brainstem": (12, 40), "cvl_1_5": (2, 10), "cvl_6_7": (1.2, 7), "cvl_8_10": (2, 14),
    "accumbens": (0.3, 1.6), "amygdala": (1, 4), "caudate": (2, 11), "cerebellar_grey": (45, 130),
    "cerebellar_white": (12, 45), "cerebral_white": (330, 900), "hippocampus": (2, 9),
    "inferior_lateral_ventricle": (0.3, 5), "lateral_ventricle": (5, 60), "pallidum": (1, 4.5),
    "putamen": (3, 11), "thalamus": (4, 14),
}  # fmt: skip


def _draw(kind, seed):
    return brain.draw_brain_patient(kind, np.random.default_rng(seed))


def _spacing(affine):
    return np.linalg.norm(affine[:3, :3], axis=0)


@pytest.fixture(scope="module")
def healthy():
    """Four patients like those of the pre-training, of three scanners, one of them with thick slices."""
    return [brain.render(_draw(None, seed)) for seed in range(4)]


@pytest.fixture(scope="module")
def tumors():
    """(kind, patient, scan) of twenty-eight patients, half of each kind."""
    kinds = ("low_grade", "glioblastoma") * 14
    patients = [(kind, _draw(kind, [71, k])) for k, kind in enumerate(kinds)]
    return [(kind, patient, brain.render(patient)) for kind, patient in patients]


def test_every_structure_is_present_with_a_plausible_volume(healthy):
    assert set(VOLUME_ML) == set(brain.STRUCTURES[1:]) and len(VOLUME_ML) == 19
    assert tuple(SIGNALS)[1:20] == brain.STRUCTURES[1:]  # a structure's tissue is its label
    for scan in healthy:
        voxel_ml = abs(np.linalg.det(scan.affine[:3, :3])) / 1000
        counts = np.bincount(scan.labels.ravel(), minlength=20)
        assert len(counts) == 20
        for name, (low, high) in VOLUME_ML.items():
            volume = counts[brain.STRUCTURES.index(name)] * voxel_ml
            assert low < volume < high, (name, volume)
        order = ("cerebral_grey", "cerebellar_grey", "brainstem", "putamen", "pallidum", "accumbens")
        sizes = [counts[brain.STRUCTURES.index(name)] for name in order]
        assert sizes == sorted(sizes, reverse=True)
        assert 900 < scan.brain.sum() * voxel_ml < 2200
        assert not scan.tumor.any()
        assert scan.brain[scan.labels > 0].all()


def test_structures_have_plausible_places(healthy):
    for scan in healthy:

        def middle(*names, scan=scan):
            inside = np.isin(scan.labels, [brain.STRUCTURES.index(name) for name in names])
            return nib.affines.apply_affine(scan.affine, np.argwhere(inside)).mean(axis=0)

        cerebrum, cerebellum = middle("cerebral_white"), middle("cerebellar_grey")
        assert cerebellum[2] < cerebrum[2] - 20 and cerebellum[1] < cerebrum[1] - 20
        assert middle("fourth_ventricle")[1] < middle("brainstem")[1]  # behind the brainstem
        assert middle("lateral_ventricle")[2] > middle("third_ventricle")[2]
        assert middle("caudate")[1] > middle("putamen")[1] > middle("thalamus")[1]  # front to back
        assert middle("cvl_1_5")[2] > middle("cvl_6_7")[2] > middle("cvl_8_10")[2] - 5
        assert middle("amygdala")[1] > middle("hippocampus")[1]


def test_t1_shows_fluid_dark_grey_between_and_white_bright(healthy):
    for scan in healthy:
        fluid, grey, white = (
            np.median(scan.image[scan.labels == brain.STRUCTURES.index(name)])
            for name in ("lateral_ventricle", "cerebral_grey", "cerebral_white")
        )
        assert fluid < 0.75 * grey and grey < 0.9 * white


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(healthy):
    patient = _draw(None, 0)
    again = brain.render(patient)
    assert again.image.tobytes() == healthy[0].image.tobytes()
    assert again.labels.tobytes() == healthy[0].labels.tobytes()
    assert _draw(None, 1) != patient
    noisier = brain.render(replace(patient, scan=replace(patient.scan, noise_seed=1)))
    assert noisier.image.tobytes() != again.image.tobytes()
    assert noisier.labels.tobytes() == again.labels.tobytes()


def test_head_and_scan_of_a_seed_do_not_depend_on_the_tumour():
    low, ring, none = (_draw(kind, 3) for kind in ("low_grade", "glioblastoma", None))
    assert low.head == ring.head == none.head and low.scan == ring.scan == none.scan
    assert low.tumor != ring.tumor and none.tumor is None


def _drawn_patients(folder, monkeypatch, *counts):
    """The patients that would be written, without rendering them: those with label maps, and others."""
    drawn = {True: [], False: []}

    def keep(folder, patient_id, patient, with_labels):
        drawn[with_labels].append(patient)

    monkeypatch.setattr(brain, "_write_scan", keep)
    brain.write_brain_phantom(folder, *counts, seed=0)
    return drawn[True], drawn[False]


def test_who_has_a_label_map_is_scanned_by_the_same_scanners_as_who_is_classified(
    tmp_path, monkeypatch
):
    for patients in _drawn_patients(tmp_path, monkeypatch, 240, 240):
        counts = Counter(patient.scan.scanner.name for patient in patients)
        assert set(counts) == {scanner.name for scanner in brain.SCANNERS}
        assert min(counts.values()) > 240 / len(brain.SCANNERS) / 2


def test_tumours_are_as_wide_as_gliomas_at_diagnosis(tmp_path, monkeypatch):
    patients = _drawn_patients(tmp_path, monkeypatch, 0, 320)[1]
    for kind, median_mm in (("low_grade", 39), ("glioblastoma", 34)):
        scales = [(p.tumor, np.mean(p.head.scale)) for p in patients if p.tumor and p.tumor.kind == kind]
        widths_mm = [2 * tumor.mean_radius_mm * scale for tumor, scale in scales]
        assert np.median(widths_mm) == pytest.approx(median_mm, rel=0.1)
        assert min(widths_mm) > 12 and max(widths_mm) < 80


def test_scanners_differ_in_axes_site_dtype_spacing_and_level():
    scanners = brain.SCANNERS
    assert len({s.name for s in scanners}) == len(scanners) == 6
    assert len({s.codes for s in scanners}) >= 5 and len({s.site for s in scanners}) == 3
    assert len({s.dtype for s in scanners}) == 3
    slices = [max(s.spacing_mm) for s in scanners]
    assert min(slices) <= 2.0 and max(slices) == 5.0
    whites = [s.white_level for s in scanners]
    assert max(whites) > 20 * min(whites)
    assert any(s.oblique for s in scanners)
    shapes = [_draw(None, seed).scan.shape for seed in range(60)]
    assert max(max(shape) for shape in shapes) <= 110
    assert all(min(shape[:2]) >= 64 for shape in shapes)


@pytest.mark.slow
def test_tumours_lie_inside_the_brain_on_the_side_they_were_drawn_on(tumors):
    for kind, patient, scan in tumors:
        where = scan.tumor > 0
        assert scan.brain[where].all()
        volume = where.sum() * np.prod(_spacing(scan.affine)) / 1000
        assert 0.5 < volume < 250, (kind, volume)
        if not patient.tumor.crosses:
            body = np.argwhere(where).mean(axis=0) * _spacing(scan.affine) + patient.scan.origin_mm
            middle = np.argwhere(scan.labels == brain.STRUCTURES.index("third_ventricle"))
            midline = middle.mean(axis=0)[0] * _spacing(scan.affine)[0] + patient.scan.origin_mm[0]
            assert np.sign(body[0] - midline) == np.sign(patient.tumor.centre[0])


@pytest.mark.slow
def test_a_low_grade_tumour_is_darker_than_white_matter(tumors):
    for kind, _, scan in tumors:
        solid = scan.tumor == 1
        if kind == "low_grade" and solid.sum() > 100:
            white = np.median(scan.image[scan.labels == brain.STRUCTURES.index("cerebral_white")])
            assert np.median(scan.image[solid]) < 0.95 * white


def _bright_ml(scan):
    """Volume (mL) in the tumour that is clearly brighter than white matter."""
    white = np.median(scan.image[scan.labels == brain.STRUCTURES.index("cerebral_white")])
    bright = (scan.tumor > 0) & (scan.image > 1.2 * white)
    return bright.sum() * np.prod(_spacing(scan.affine)) / 1000


@pytest.mark.slow
def test_enhancing_volume_separates_the_types_but_not_perfectly(tumors):
    ring = [kind == "glioblastoma" for kind, _, _ in tumors]
    assert 0.75 < roc_auc_score(ring, [_bright_ml(scan) for _, _, scan in tumors]) < 0.97
    whole = roc_auc_score(ring, [(scan.tumor > 0).mean() for _, _, scan in tumors])
    assert 0.2 < whole < 0.8  # sizes overlap


def test_contrast_agent_is_what_makes_a_ring_bright():
    patient = _draw("glioblastoma", 4)
    patient = replace(patient, tumor=replace(patient.tumor, enhancement=0.9))
    with_agent, without = (
        brain.render(replace(patient, scan=replace(patient.scan, contrast_agent=agent)))
        for agent in (True, False)
    )
    assert _bright_ml(with_agent) > 1 > _bright_ml(without)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return written_phantom(tmp_path_factory, brain.write_brain_phantom, 2, 4)


def test_the_raw_folder_holds_what_the_layout_says_and_no_patient_twice(written):
    folder, calls = written
    seg, typ = ["seg-001", "seg-002"], [f"typ-{k:03d}" for k in range(1, 5)]
    names = {f"volumes/{n}.nii.gz" for n in seg + typ} | {f"labels/{n}.nii.gz" for n in seg}
    assert set(files_of(folder)) == names | {"types.csv"}
    assert calls == [(k, 6) for k in range(1, 7)]
    rows = rows_of(folder / "types.csv")
    assert [row["patient_id"] for row in rows] == typ and tuple(rows[0]) == brain.COLUMNS
    assert {row["label"] for row in rows[:3]} == set(brain.TYPES)
    images = [bytes(np.asarray(nib.load(folder / f"volumes/{n}.nii.gz").dataobj)) for n in seg + typ]
    assert len(set(images)) == 6


def test_headers_say_how_the_scanner_stored_the_volume(written):
    folder, _ = written
    scanners = {scanner.name: scanner for scanner in brain.SCANNERS}
    for row in rows_of(folder / "types.csv"):
        path = folder / f"volumes/{row['patient_id']}.nii.gz"
        stored, scanner = nib.load(path), scanners[row["scanner"]]
        assert row["site"] == scanner.site
        assert "".join(nib.aff2axcodes(stored.affine)) == scanner.codes
        assert stored.get_data_dtype() == np.dtype(scanner.dtype)
        assert stored.header.get_xyzt_units()[0] == "mm"
        assert read_nifti(path).spacing_mm == pytest.approx(scanner.spacing_mm, abs=1e-4)


def test_what_is_read_is_what_was_rendered_with_its_labels_on_the_same_grid(written):
    folder, _ = written
    scan = brain.render(_draw(None, [5, 0, 1]))
    volume, labels = (read_nifti(folder / name / "seg-002.nii.gz") for name in ("volumes", "labels"))
    assert np.array_equal(volume.array, scan.image) and np.array_equal(labels.array, scan.labels)
    assert np.allclose(volume.affine, scan.affine, atol=1e-3)
    assert np.array_equal(volume.affine, labels.affine)


def _types_table(folder, patients, signal):
    """The labels of types.csv; empty volumes are written first, so that none is rendered."""
    (folder / "volumes").mkdir(parents=True)
    for k in range(patients):
        (folder / f"volumes/typ-{k + 1:03d}.nii.gz").touch()
    brain.write_brain_phantom(folder, 0, patients, seed=8, signal=signal)
    return [row["label"] for row in rows_of(folder / "types.csv")]


def test_without_signal_labels_keep_their_counts_but_are_independent(tmp_path):
    truth = [brain.type_of(k, 8) for k in range(160)]
    assert _types_table(tmp_path / "true", 160, True) == truth
    mixed = _types_table(tmp_path / "mixed", 160, False)
    assert Counter(mixed) == Counter(truth) == {"no_tumor": 40, "lgg": 60, "gbm": 60}
    assert normalized_mutual_info_score(truth, mixed) < 0.05
