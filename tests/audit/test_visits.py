"""Ids that differ only in their last part: time points of one patient, or patients of a site."""

import numpy as np
import pytest

from mri_tf.audit.finding import FOUND, NOT_APPLICABLE, NOT_FOUND
from mri_tf.audit.visits import one_patient_in_visits


def asked(names, groups=None, **more):
    names = np.array(names, dtype=object)
    return one_patient_in_visits(names, np.array(groups or [""] * len(names), dtype=object), **more)


def with_ends(stems, ends):
    return [f"{stem}{end}" for stem in stems for end in ends]


STEMS = [f"P{number:02d}" for number in range(1, 9)]
GLIOMAS = [f"BraTS-GLI-{number:05d}" for number in range(8)]


@pytest.mark.parametrize(
    "names",
    [with_ends(GLIOMAS, ("-000", "-001")), [*with_ends(GLIOMAS[:2], ("-000", "-001")), *GLIOMAS[2:]],
     with_ends(STEMS, ("_2019", "_2021")), with_ends(STEMS, ("_a", "_b")),
     with_ends(STEMS, ("_T1", "_T2", "_T3")), with_ends(STEMS, ("a", "b")),
     ["P01_20190314", "P01_20200102", *STEMS[1:]], [*with_ends(STEMS[:1], ("_1", "_2")), *STEMS[1:]],
     [*with_ends(STEMS, ("_a", "_b")), *with_ends(("P99",), [f"_{end}" for end in "abcdefgh"])],
     with_ends(("huber", "maier", "wolf"), ("_pre", "_post"))],
)  # fmt: skip
def test_ids_of_time_points_of_one_patient_are_a_question_and_never_certain(names):
    found = asked(names)
    assert found.status == FOUND and not found.certain
    assert found.evidence.endswith("time points of one patient?")
    assert "column group" in found.what_to_do


@pytest.mark.parametrize(
    "names",
    [with_ends(("site1", "site2", "site3"), [f"-{number:03d}" for number in range(20)]),
     [*with_ends(("site1",), [f"-{n:03d}" for n in range(20)]), "site2-001", "site2-002"],
     [f"site-{number:03d}" for number in range(40)], [f"sub-{number:02d}" for number in range(40)],
     [f"{grade}_{number:03d}" for number in range(5) for grade in ("LGG", "HGG")], STEMS,
     [f"BraTS20_Training_{number:03d}" for number in range(50)], [str(number) for number in range(30)],
     ["TCGA-02-0003", "TCGA-02-0011", "TCGA-06-0145", "TCGA-06-0138", "TCGA-12-0616"],
     [f"SC-HF-{kind}-{number:02d}" for kind in ("I", "NI") for number in range(1, 12)],
     with_ends(STEMS, ("_T1",)), ["1.5", "1.6", "2.5"]],
)  # fmt: skip
def test_running_numbers_of_patients_are_no_question(names):
    assert asked(names).status == NOT_FOUND


def test_time_points_that_the_column_group_keeps_together_are_no_question():
    names = with_ends(STEMS, ("_2019", "_2021"))
    assert asked(names, [name[:3] for name in names]).status == NOT_FOUND
    half = asked(names, [name[:3] if name < "P05" else "" for name in names])
    assert half.evidence.startswith("4 groups of ids") and half.records == tuple(range(8, 16))


def test_time_points_on_two_sides_are_counted():
    names = with_ends(STEMS[:3], ("_2019", "_2021"))
    found = asked(names, sides=[np.array([0, 1, 2]), np.array([3]), np.array([4, 5])])
    assert "3 groups of ids" in found.evidence and "1 of them on two sides" in found.evidence


def test_pseudonyms_have_no_last_part():
    assert asked(with_ends(STEMS, ("_a", "_b")), pseudonyms=True).status == NOT_APPLICABLE
