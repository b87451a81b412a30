"""Synthetic gliomas: four sequences of one brain, overlapping grades, the layouts of BraTS."""

from collections import Counter

import nibabel as nib
import numpy as np
import pytest
from phantom_files import rows_of
from raw_folders import files_of
from sklearn.metrics import normalized_mutual_info_score, roc_auc_score

from data_prep.phantom.glioma import dataset as glioma

SMALL, TINY = (40, 40, 26), (20, 20, 14)


@pytest.fixture(scope="module")
def cases():
    """(grade, images, labels) of sixty cases, half of each grade."""
    grades = ("LGG", "HGG") * 30
    drawn = [glioma.draw_case(g, np.random.default_rng([90, k])) for k, g in enumerate(grades)]
    return [(grade, *glioma.render_case(case, SMALL)) for grade, case in zip(grades, drawn, strict=True)]


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
    before = files_of(tmp_path)
    glioma.write_glioma_phantom(tmp_path / "again", 8, 3, shape=TINY)
    assert files_of(tmp_path / "again") == before


def test_the_2020_layout_maps_names_to_grades_and_2021_has_none(tmp_path):
    glioma.write_glioma_phantom(tmp_path / "20", 4, 3, shape=TINY, layout="2020")
    rows = rows_of(tmp_path / "20/name_mapping.csv")
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
