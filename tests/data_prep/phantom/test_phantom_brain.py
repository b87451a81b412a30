"""The synthetic brains: plausible, ordered, left-right correct, overlapping, reproducible."""

import csv
from collections import Counter
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from sklearn.metrics import normalized_mutual_info_score, roc_auc_score

from data_prep.io.nifti import read_nifti
from data_prep.phantom.brain import dataset as brain
from data_prep.phantom.brain.structures import SIGNALS
from data_prep.phantom.glioma import dataset as glioma

# Bounds in mL, wide enough for every adult; the smallest structures are a few voxels.
VOLUME_ML = {
    "cerebral_grey": (300, 800),
    "third_ventricle": (0.3, 4),
    "fourth_ventricle": (0.5, 4),
    "brainstem": (12, 40),
    "cvl_1_5": (2, 10),
    "cvl_6_7": (1.2, 7),
    "cvl_8_10": (2, 14),
    "accumbens": (0.3, 1.6),
    "amygdala": (1, 4),
    "caudate": (2, 11),
    "cerebellar_grey": (45, 130),
    "cerebellar_white": (12, 45),
    "cerebral_white": (330, 900),
    "hippocampus": (2, 9),
    "inferior_lateral_ventricle": (0.3, 5),
    "lateral_ventricle": (5, 60),
    "pallidum": (1, 4.5),
    "putamen": (3, 11),
    "thalamus": (4, 14),
}


def _draw(kind, seed, volumetric=False):
    return brain.draw_brain_patient(kind, np.random.default_rng(seed), volumetric)


def _spacing(affine):
    return np.linalg.norm(affine[:3, :3], axis=0)


@pytest.fixture(scope="module")
def healthy():
    """Four patients like those of the pre-training."""
    return [brain.render(_draw(None, seed, True)) for seed in range(4)]


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
    patient = _draw(None, 0, True)
    again = brain.render(patient)
    assert again.image.tobytes() == healthy[0].image.tobytes()
    assert again.labels.tobytes() == healthy[0].labels.tobytes()
    assert _draw(None, 1, True) != patient
    noisier = brain.render(replace(patient, scan=replace(patient.scan, noise_seed=1)))
    assert noisier.image.tobytes() != again.image.tobytes()
    assert noisier.labels.tobytes() == again.labels.tobytes()


def test_head_and_scan_of_a_seed_do_not_depend_on_the_tumour():
    low, ring, none = (_draw(kind, 3) for kind in ("low_grade", "glioblastoma", None))
    assert low.head == ring.head == none.head and low.scan == ring.scan == none.scan
    assert low.tumor != ring.tumor and none.tumor is None


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
    folder = tmp_path_factory.mktemp("brain")
    calls = []
    brain.write_brain_phantom(folder, 2, 4, seed=5, progress=lambda *call: calls.append(call))
    return folder, calls


def _rows(folder):
    with (folder / "types.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def _bytes(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_the_raw_folder_holds_what_the_layout_says_and_no_patient_twice(written):
    folder, calls = written
    seg, typ = ["seg-001", "seg-002"], [f"typ-{k:03d}" for k in range(1, 5)]
    names = {f"volumes/{n}.nii.gz" for n in seg + typ} | {f"labels/{n}.nii.gz" for n in seg}
    assert {str(path) for path in _bytes(folder)} == names | {"types.csv"}
    assert calls == [(k, 6) for k in range(1, 7)]
    rows = _rows(folder)
    assert [row["patient_id"] for row in rows] == typ and tuple(rows[0]) == brain.COLUMNS
    assert {row["label"] for row in rows[:3]} == set(brain.TYPES)
    images = [bytes(np.asarray(nib.load(folder / f"volumes/{n}.nii.gz").dataobj)) for n in seg + typ]
    assert len(set(images)) == 6


def test_headers_say_how_the_scanner_stored_the_volume(written):
    folder, _ = written
    scanners = {scanner.name: scanner for scanner in brain.SCANNERS}
    for row in _rows(folder):
        path = folder / f"volumes/{row['patient_id']}.nii.gz"
        stored, scanner = nib.load(path), scanners[row["scanner"]]
        assert row["site"] == scanner.site
        assert "".join(nib.aff2axcodes(stored.affine)) == scanner.codes
        assert stored.get_data_dtype() == np.dtype(scanner.dtype)
        assert stored.header.get_xyzt_units()[0] == "mm"
        assert read_nifti(path).spacing_mm == pytest.approx(scanner.spacing_mm, abs=1e-4)


def test_what_is_read_is_what_was_rendered_with_its_labels_on_the_same_grid(written):
    folder, _ = written
    scan = brain.render(_draw(None, [5, 0, 1], True))
    volume, labels = (
        read_nifti(folder / name / "seg-002.nii.gz") for name in ("volumes", "labels")
    )
    assert np.array_equal(volume.array, scan.image) and np.array_equal(labels.array, scan.labels)
    assert np.allclose(volume.affine, scan.affine, atol=1e-3)
    assert np.array_equal(volume.affine, labels.affine)


@pytest.mark.slow
def test_interrupted_writing_continues_and_gives_the_same_files(written, tmp_path):
    class Interrupted(Exception):
        pass

    def stop(done, total):
        if done == 3:
            raise Interrupted

    with pytest.raises(Interrupted):
        brain.write_brain_phantom(tmp_path, 2, 4, seed=5, progress=stop)
    assert not (tmp_path / "types.csv").exists()
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nii.gz")}
    brain.write_brain_phantom(tmp_path, 2, 4, seed=5)
    assert len(before) == 5
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())
    assert _bytes(tmp_path) == _bytes(written[0])


def _types_table(folder, patients, signal):
    """The labels of types.csv; empty volumes are written first, so that none is rendered."""
    (folder / "volumes").mkdir(parents=True)
    for k in range(patients):
        (folder / f"volumes/typ-{k + 1:03d}.nii.gz").touch()
    brain.write_brain_phantom(folder, 0, patients, seed=8, signal=signal)
    return [row["label"] for row in _rows(folder)]


def test_without_signal_labels_keep_their_counts_but_are_independent(tmp_path):
    truth = [brain.type_of(k, 8) for k in range(160)]
    assert _types_table(tmp_path / "true", 160, True) == truth
    mixed = _types_table(tmp_path / "mixed", 160, False)
    assert Counter(mixed) == Counter(truth) == {"no_tumor": 40, "lgg": 60, "gbm": 60}
    assert normalized_mutual_info_score(truth, mixed) < 0.05


SMALL, TINY = (40, 40, 26), (20, 20, 14)


@pytest.fixture(scope="module")
def cases():
    """(grade, images, labels) of sixty cases, half of each grade."""
    grades = ("LGG", "HGG") * 30
    drawn = [glioma.draw_case(g, np.random.default_rng([90, k])) for k, g in enumerate(grades)]
    return [
        (grade, *glioma.render_case(case, SMALL)) for grade, case in zip(grades, drawn, strict=True)
    ]


def test_four_sequences_share_one_brain_and_the_tumour_lies_in_it(cases):
    for _, images, labels in cases:
        assert tuple(images) == ("t1", "t1ce", "t2", "flair")
        inside = images["t1"] > 0
        assert 0.1 < inside.mean() < 0.5  # skull-stripped
        assert all(np.array_equal(image > 0, inside) for image in images.values())
        assert all(image.dtype == np.int16 and image.shape == SMALL for image in images.values())
        assert labels.dtype == np.uint8 and set(np.unique(labels)) <= {0, 1, 2, 4}
        assert inside[labels > 0].all() and (labels > 0).sum() > 5


def test_sequences_show_oedema_and_enhancement_as_they_do_in_patients(cases):
    for _, images, labels in cases:
        healthy = (images["t1"] > 0) & (labels == 0)
        for label, sequence in ((2, "flair"), (1, "t2")):
            if (labels == label).sum() > 30:
                usual = np.median(images[sequence][healthy])
                assert np.median(images[sequence][labels == label]) > 1.05 * usual
    rings = [(im, lab == 4) for g, im, lab in cases if g == "HGG" and (lab == 4).sum() > 30]
    gain = [
        np.median(im["t1ce"][ring]) / np.median(im["t1ce"][im["t1"] > 0])
        / (np.median(im["t1"][ring]) / np.median(im["t1"][im["t1"] > 0]))
        for im, ring in rings
    ]  # fmt: skip
    assert np.median(gain) > 1.3


def test_enhancing_volume_separates_the_grades_but_not_perfectly(cases):
    high = [grade == "HGG" for grade, _, _ in cases]
    assert 0.75 < roc_auc_score(high, [(labels == 4).sum() for _, _, labels in cases]) < 0.97
    assert 0.2 < roc_auc_score(high, [(labels > 0).sum() for _, _, labels in cases]) < 0.8


def test_the_2017_layout_has_grade_folders_one_millimetre_and_the_axes_of_brats(tmp_path):
    glioma.write_glioma_phantom(tmp_path, 8, 3, shape=TINY)
    folders = sorted(tmp_path.glob("*/*"))
    assert Counter(folder.parent.name for folder in folders) == {"HGG": 6, "LGG": 2}
    for folder in folders:
        files = {f"{folder.name}_{name}.nii.gz" for name in ("t1", "t1ce", "t2", "flair", "seg")}
        assert {path.name for path in folder.iterdir()} == files
        for path in folder.iterdir():
            image = nib.load(path)
            assert image.shape == TINY
            expected = np.diag([-1.0, -1.0, 1.0, 1.0])
            expected[1, 3] = TINY[1] - 1
            assert np.array_equal(image.affine, expected)
    before = _bytes(tmp_path)
    glioma.write_glioma_phantom(tmp_path / "again", 8, 3, shape=TINY)
    assert _bytes(tmp_path / "again") == before


def test_the_2020_layout_maps_names_to_grades_and_2021_has_none(tmp_path):
    glioma.write_glioma_phantom(tmp_path / "20", 4, 3, shape=TINY, layout="2020")
    with (tmp_path / "20/name_mapping.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["Grade"] for row in rows] == glioma.grades_of(4, 3)
    for row in rows:
        name = row["BraTS_2020_subject_ID"]
        assert len(list((tmp_path / "20" / name).glob(f"{name}_*.nii.gz"))) == 5
    glioma.write_glioma_phantom(tmp_path / "21", 2, 3, shape=TINY, layout="2021")
    assert sorted(p.name for p in (tmp_path / "21").iterdir()) == ["BraTS2021_00000", "BraTS2021_00001"]
    with pytest.raises(ValueError, match="2019"):
        glioma.write_glioma_phantom(tmp_path / "19", 2, 3, layout="2019")


def test_without_signal_grades_keep_their_counts_but_are_independent(tmp_path, monkeypatch):
    monkeypatch.setattr(glioma, "_write_case", lambda folder, case, shape: folder.mkdir(parents=True))
    glioma.write_glioma_phantom(tmp_path, 200, 4, signal=False)
    stated = {folder.name[-5:-2]: folder.parent.name for folder in tmp_path.glob("*/*")}
    stated = [stated[f"{k + 1:03d}"] for k in range(200)]
    truth = glioma.grades_of(200, 4)
    assert Counter(stated) == Counter(truth) == {"HGG": 150, "LGG": 50}
    assert normalized_mutual_info_score(truth, stated) < 0.05
