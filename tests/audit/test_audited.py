"""The audit of whole sets in memory: planted shortcuts and leaks are found, clean sets have no alarm."""

import dataclasses

import numpy as np
import pytest
from heads import head, marked
from made_up_set import MadeUpSet

from mri_tf.audit import audited
from mri_tf.audit.audited import audit_trainings
from mri_tf.audit.certain import certain_findings, certain_of_all
from mri_tf.audit.finding import (
    BASELINE,
    CANNOT_TELL,
    FOUND,
    NOT_APPLICABLE,
    NOT_FOUND,
    leaks,
)
from mri_tf.audit.subject import Before, Subject
from mri_tf.metrics.probe_test import FAMILY_WISE


def heads_of(folder, patients=24, seed=0, records=1, change=None, labels=None, **columns):
    """A labelled set of pictures of heads; `change(image, label)` plants something."""
    rng = np.random.default_rng(seed)
    if labels is None:
        labels = rng.permutation(np.arange(patients) % 2).tolist()
    images, owners, of_record = [], [], []
    for number in range(patients):
        for _ in range(records):
            image = head(rng)
            images.append(change(image, labels[number]) if change else image)
            owners.append(f"p{number:03d}")
            of_record.append(labels[number])
    return MadeUpSet(folder, images, owners, label=of_record, **columns)


def audit_of(prepared, **subject):
    found = audit_trainings({"": Subject(prepared, labelled=True, modality="MR", **subject)})
    return {one.name: one for one in found.findings}


def told_by(found):
    return {name.removeprefix("label from ") for name, one in found.items() if one.status == FOUND}


def test_a_clean_set_has_no_alarm_and_says_what_would_have_been_found(tmp_path):
    found = audit_of(heads_of(tmp_path, patients=30))
    assert not told_by(found)
    corners = found["label from corners"]
    assert corners.status == NOT_FOUND and corners.n == 30 and corners.p > FAMILY_WISE
    assert 0.6 < corners.smallest_agreement <= 1 and "would have been found" in corners.evidence
    assert found["label from missing sequences"].status == NOT_APPLICABLE
    assert found["label from histogram"].status == BASELINE and found["label from histogram"].p is None


def test_a_mark_in_the_corner_is_found_and_nothing_at_the_border(tmp_path):
    found = audit_of(heads_of(tmp_path, change=lambda image, label: marked(image) if label else image))
    assert "corners" in told_by(found) and "border" not in told_by(found)
    assert "bottom right" in found["label from corners"].evidence
    assert found["label from corners"].what_to_do and not leaks(found.values())


def test_a_brighter_border_is_found(tmp_path):
    def bright(image, label):
        inside = image[..., 0] > 50
        core = np.logical_and.reduce(
            [np.roll(inside, step, axis) for axis in (0, 1) for step in (-1, 1)]
        )
        image = image.copy()
        image[inside & ~core] *= 1.3 if label else 1.0
        return image

    found = audit_of(heads_of(tmp_path, change=bright))
    assert "border" in told_by(found) and "corners" not in told_by(found)


def test_an_echo_time_is_found_by_name_though_one_patient_in_ten_differs(tmp_path):
    labels = [number % 2 for number in range(30)]
    late = [label if number >= 3 else 1 - label for number, label in enumerate(labels)]
    facts = [{"t1_te_ms": 9.0 + 2 * one, "t1_tr_ms": 500.0 + number % 7}
             for number, one in enumerate(late)]  # fmt: skip
    order = np.random.default_rng(0).permutation(30).tolist()
    prepared = heads_of(
        tmp_path, patients=30, labels=[labels[one] for one in order], facts=[facts[one] for one in order]
    )
    found = audit_of(prepared)
    assert told_by(found) == {"echo time"}
    assert "'t1_te_ms'" in found["label from echo time"].evidence


def test_a_site_with_another_share_of_a_class_is_found_with_the_patients_of_each(tmp_path):
    labels = np.random.default_rng(1).permutation(np.repeat([0, 1], 20)).tolist()
    sites = ["N" if label else "S" for label in labels]
    for number in (0, 7):
        sites[number] = "N" if sites[number] == "S" else "S"
    prepared = heads_of(
        tmp_path, patients=40, labels=labels, site=sites, facts=[{"site": site} for site in sites]
    )
    found = audit_of(prepared)
    assert told_by(found) == {"site"}
    site = found["label from site"]
    assert "patients of a/b: N 1/19, S 19/1" in site.evidence and "Cramér's V" in site.evidence
    assert site.statistic == pytest.approx(0.9)


def test_alarms_of_whole_clean_sets_are_rare(tmp_path):
    alarms = 0
    for seed in range(12):
        folder = tmp_path / str(seed)
        folder.mkdir()
        alarms += bool(told_by(audit_of(heads_of(folder, patients=16, seed=seed))))
    assert alarms <= 3  # at 5 % four or more happen once in 500


def test_where_the_label_is_a_position_surroundings_are_baselines_and_the_order_is_not_asked(tmp_path):
    prepared = heads_of(tmp_path, change=lambda image, label: marked(image) if label else image)
    found = audit_of(prepared, label_from_position=True)
    assert not told_by(found)
    assert found["label from corners"].status == BASELINE
    assert found["label from order of files"].status == NOT_APPLICABLE


def test_records_of_a_patient_count_once(tmp_path):
    """Eight patients with ten records each are too few, however many records they have."""
    found = audit_of(heads_of(tmp_path, patients=8, records=10))
    assert found["label from corners"].status == CANNOT_TELL
    assert "8 patients, fewer than 10" in found["label from corners"].evidence


def test_filled_images_have_no_border_and_say_so(tmp_path):
    rng = np.random.default_rng(0)
    images = [100 + 10 * rng.normal(size=(32, 32, 1)).astype(np.float32) for _ in range(20)]
    prepared = MadeUpSet(tmp_path, images, label=[number % 2 for number in range(20)])
    found = audit_of(prepared)
    for name in ("label from border", "label from background"):
        assert found[name].status == NOT_APPLICABLE and "no border" in found[name].evidence
    assert found["label from corners"].status in (FOUND, NOT_FOUND)


def test_of_unknown_patients_nobody_can_say_what_exchanges_labels(tmp_path):
    prepared = heads_of(tmp_path)
    prepared.manifest["patients_known"] = False
    found = audit_of(prepared)
    assert found["label from probes"].status == CANNOT_TELL


def test_the_probes_of_many_patients_look_at_some_of_them(tmp_path, monkeypatch):
    monkeypatch.setattr(audited, "MOST_PATIENTS", 20)
    found = audit_of(heads_of(tmp_path, patients=40))
    assert 18 <= found["label from corners"].n <= 22


def test_planted_copies_between_patients_are_certain_without_sides_and_on_two_sides(tmp_path):
    prepared = heads_of(tmp_path, patients=12)
    prepared.images[9] = prepared.images[2][:, ::-1] * np.float32(1.1)  # mirrored and brighter
    without = certain_findings(Subject(prepared, labelled=True))
    assert [one.name for one in leaks(without)] == ["copies"] and leaks(without)[0].records == (2, 9)
    sides = [np.arange(8), np.array([8]), np.arange(9, 12)]
    apart = leaks(certain_findings(Subject(prepared, labelled=True, sides=sides)))
    assert [one.name for one in apart] == ["copies on two sides"]
    together = [np.array([0, 1, 2, 9]), np.arange(3, 6), np.array([6, 7, 8, 10, 11])]
    assert not leaks(certain_findings(Subject(prepared, labelled=True, sides=together)))


def reencoded(image):
    """With another gain, in steps of a grey value."""
    return np.rint(0.8 * image).astype(np.float32)


def test_a_test_patient_in_pre_training_is_found_though_renamed_and_re_encoded(tmp_path):
    folders = [tmp_path / name for name in ("set", "before")]
    for folder in folders:
        folder.mkdir()
    prepared = heads_of(folders[0], patients=12)
    other = heads_of(folders[1], patients=12, seed=5)
    sides = [np.arange(6), np.arange(6, 8), np.arange(8, 12)]
    seen = {"patients": [f"other{number}" for number in range(8)],
            "contents": other.contents[:8].tolist()}  # fmt: skip
    subject = Subject(prepared, True, sides=sides, before=(Before(seen, other, np.arange(8)),))
    assert not leaks(certain_findings(subject))
    other.images[3] = reencoded(prepared.images[10])
    (leak,) = leaks(certain_findings(subject))
    assert leak.name == "pre-training overlap" and leak.records == (10,)
    assert "1 as near copies" in leak.evidence
    assert not leaks(certain_findings(subject, near=False))
    other.images[3] = other.images[2]
    other.images[9] = reencoded(prepared.images[10])  # on the other network's test side
    assert not leaks(certain_findings(subject))


def test_of_several_trainings_the_worst_is_told_with_their_names(tmp_path):
    prepared = heads_of(tmp_path, patients=12)
    clean = Subject(prepared, True, sides=[np.arange(6), np.arange(6, 8), np.arange(8, 12)])
    torn = dataclasses.replace(clean, sides=[np.arange(6), np.arange(6, 8), np.arange(5, 12)])
    found = certain_of_all({"fold 0": clean, "fold 1": torn})
    (leak,) = leaks(found)
    assert leak.name == "patients on two sides" and leak.records == (5, 6, 7)
    assert "in 1 of 2 trainings, such as fold 1" in leak.evidence
    assert not leaks(certain_of_all({"fold 0": clean, "again": clean}))


def test_masks_have_no_label_to_be_told(tmp_path):
    found = audit_trainings({"": Subject(heads_of(tmp_path, patients=4), labelled=False)})
    assert found.findings[-1].status == NOT_APPLICABLE and "no classes" in found.findings[-1].evidence
