"""What the known-answer phantoms promise of the examinations drawn: one trick, of an exact dose."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom, fisher_exact, mannwhitneyu
from sklearn.metrics import roc_auc_score

from data_prep.phantom.known_answers.dataset import volumes_of
from data_prep.phantom.known_answers.examinations import COPIES, KINDS, LABELS, draw_examinations
from data_prep.phantom.known_answers.head import SCALP_MM
from data_prep.phantom.known_answers.scan import MARK, SCANNERS

TIED = {name: kind for name, kind in KINDS.items() if kind.tied}
SHORTCUTS = sorted(set(TIED) - {"clean", "label_noise"})


def _drawn(name, patients=20, seed=0, dose=1.0, flat=True):
    return draw_examinations(KINDS[name], patients, seed, dose, flat)


def _malignant(rows):
    return np.array([row.label == "malignant" for row in rows])


@pytest.mark.parametrize("dose", [1.0, 0.9, 0.75, 0.5, 0.0])
@pytest.mark.parametrize("patients", [2, 21, 60])
@pytest.mark.parametrize("name", sorted(TIED))
def test_exactly_the_dose_of_each_class_agrees(name, patients, dose):
    rows = _drawn(name, patients, seed=patients, dose=dose)
    malignant = _malignant(rows)
    trait = np.array([getattr(row.traits, KINDS[name].tied) for row in rows])
    assert malignant.sum() == patients // 2
    for value in (False, True):
        members = malignant == value
        assert (trait == malignant)[members].sum() == round(dose * members.sum())
    assert [row.agrees for row in rows] == (trait == malignant).tolist()


@pytest.mark.parametrize("dose", [1.0, 0.5, 0.3, 0.0])
@pytest.mark.parametrize("name", ["leaky_copies", "leaky_patients"])
def test_exactly_the_dose_of_each_class_stands_twice(name, dose):
    rows = _drawn(name, 30, dose=dose)
    persons = [row.person for row in rows]
    assert set(persons) == set(range(1, 31)) and len(rows) == 30 + 2 * round(15 * dose)
    for label in LABELS:
        twice = {row.person for row in rows if row.change and row.label == label}
        assert len(twice) == round(15 * dose)
        assert all(persons.count(person) == 2 for person in twice)
    assert len({row.patient for row in rows}) == len(rows)


def _facts(row):
    """Everything of a row that a probe may look at, as numbers, without the lesion's core."""
    scan, head = row.scan, row.head
    return {
        "te_ms": scan.te_ms, "site": scan.scanner in SCANNERS[:2],
        "scanner": SCANNERS.index(scan.scanner), "age": row.age, "sex": row.sex == "F",
        "spacing_mm": scan.spacing_mm[0], "mark": scan.marked,
        "border": head.border, "volume": np.prod(head.lesion_radii_mm), "width": head.radii_mm[0],
        "ventricles": head.ventricle_mm[0], "lesion_x": head.lesion_mm[0], "shift_mm": scan.shift_mm[0],
        "tilt": scan.tilt_degrees, "noise": scan.noise_seed,
    }  # fmt: skip


def _p_values(name, seeds, patients=40):
    """Fact -> the p value of its difference between the classes, of each seed."""
    found = {}
    for seed in seeds:
        rows = _drawn(name, patients, seed)
        malignant = _malignant(rows)
        for fact, values in {key: [_facts(row)[key] for row in rows] for key in _facts(rows[0])}.items():
            values = np.array(values, float)
            if len(set(values)) <= 2:
                high = values == values.max()
                sides = (malignant, ~malignant)
                p = fisher_exact([[(high & side).sum(), (~high & side).sum()] for side in sides]).pvalue
            else:
                p = mannwhitneyu(values[malignant], values[~malignant]).pvalue
            found.setdefault(fact, []).append(p)
    return {fact: np.array(values) for fact, values in found.items()}


@pytest.mark.parametrize("name", ["clean", "no_signal", "label_noise"])
def test_without_a_shortcut_no_fact_is_tied_to_the_label(name):
    seeds = 100
    most = binom.ppf(0.9999, seeds, 0.05)
    for fact, p_values in _p_values(name, range(seeds)).items():
        assert np.sum(p_values < 0.05) <= most, fact


@pytest.mark.parametrize(
    ("name", "tied"),
    [
        ("shortcut_te", {"te_ms"}), ("shortcut_corner", {"mark"}), ("border", {"border"}),
        ("volume_only", {"volume"}), ("shortcut_site", {"site", "scanner", "spacing_mm"}),
    ],
)  # fmt: skip
def test_a_shortcut_ties_its_own_facts_and_no_other(name, tied):
    p_values = _p_values(name, range(30))
    most = binom.ppf(0.9999, 30, 0.05)
    assert {fact for fact, values in p_values.items() if np.all(values < 1e-4)} == tied
    assert all(np.sum(p_values[fact] < 0.05) <= most for fact in set(p_values) - tied)


def _changed(row, other):
    """(x, y, z) bool: the voxels in which the images of two rows differ."""
    return volumes_of(row)[0].array != volumes_of(other)[0].array


def _from_border_mm(row):
    """How far each voxel lies within the head's surface, mm; negative outside. Exact along the axes."""
    scan, head = row.scan, row.head
    places = np.indices(scan.shape).reshape(3, -1).T @ scan.affine[:3, :3] + scan.affine[:3, 3]
    angle = np.radians(scan.tilt_degrees)
    places[:, :2] -= scan.shift_mm
    places[:, :2] = places[:, :2] @ [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    level = np.linalg.norm(places / head.radii_mm, axis=1)
    return ((1 - level) * np.linalg.norm(places, axis=1) / np.maximum(level, 1e-9)).reshape(scan.shape)


@pytest.mark.parametrize("flat", [True, False], ids=["pictures", "volumes"])
def test_a_trick_changes_only_its_own_part_of_the_image(flat):
    plain = _drawn("no_signal", 12, seed=3, flat=flat)
    for name in TIED:
        for row, other in zip(_drawn(name, 12, seed=3, flat=flat), plain, strict=True):
            tied = KINDS[name].tied
            assert replace(row.traits, **{tied: getattr(other.traits, tied)}) == other.traits
            assert (row.label, row.age, row.sex) == (other.label, other.age, other.sex)
            if name == "shortcut_site":
                continue  # noise and level are everywhere
            changed = _changed(row, other)
            if name == "shortcut_te":
                assert not changed.any()
            elif name == "shortcut_corner":
                assert changed.sum() == (MARK ** (2 if flat else 3) if row.traits.marked else 0)
                assert np.all(_from_border_mm(row)[changed] < 0)  # all of it in air
            elif name == "border":
                depth_mm, voxel_mm = _from_border_mm(row)[changed], max(row.scan.spacing_mm)
                assert np.all((depth_mm > -voxel_mm) & (depth_mm < 1.3 * SCALP_MM + voxel_mm))
            else:  # what is about the lesion lies in it, and it does not touch the scalp
                assert np.all(_from_border_mm(row)[changed] > SCALP_MM)


def test_a_simple_feature_finds_an_honest_signal_that_is_not_perfect():
    def auc(name, seed, flat):
        rows = _drawn(name, 100, seed, flat=flat)
        values = []
        for image, mask in map(volumes_of, rows):
            head = image.array[image.array > np.percentile(image.array, 70)]
            values.append(image.array[mask.array > 0].mean() / np.median(head))
        return roc_auc_score(_malignant(rows), values)

    for flat in (True, False):
        assert 0.8 < np.mean([auc("clean", seed, flat) for seed in range(3)]) < 0.95
        assert 0.4 < np.mean([auc("no_signal", seed, flat) for seed in range(3)]) < 0.6
    assert auc("label_noise", 0, True) > 0.99


def test_a_second_examination_is_another_scan_of_the_same_head():
    rows = _drawn("leaky_patients", 20)
    assert not any(row.recoding for row in rows)
    for second in (row for row in rows if row.change):
        first = next(row for row in rows if row.person == second.person and not row.change)
        assert (first.head, first.label, first.sex) == (second.head, second.label, second.sex)
        assert first.scan.noise_seed != second.scan.noise_seed
        assert first.split == "train" and second.split in ("validation", "test")
        bare = "".join(filter(str.isalnum, second.patient)).lower()
        assert bare != first.patient and int(bare[1:]) == int(first.patient[1:]) and bare[0] == "p"


@pytest.mark.parametrize("dose", [1.0, 0.5, 0.0])
def test_every_side_of_the_supplied_split_has_both_classes(dose):
    rows = _drawn("leaky_patients", 20, dose=dose)
    assert len({(row.split, row.label) for row in rows}) == 6


def test_copies_and_first_images_are_mixed_in_the_table():
    rows = _drawn("leaky_copies", 40)
    assert KINDS["leaky_copies"].twice == COPIES
    place = [number for number, row in enumerate(rows) if row.change]
    assert 20 < np.median(place) < 60 and len(place) == 40
