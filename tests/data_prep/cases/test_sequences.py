"""A task's rule finds its sequences among the series of a case, in whatever order they come."""

import dataclasses
import re
import shutil
from dataclasses import dataclass, field

import dicom_series
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.case import Unreadable
from data_prep.cases.sequences import check_rules, choose_sequences
from data_prep.io.dicom.series import find_series, read_dicom
from mri_tf.core.errors import InputError

RULES = {
    "t1": dict(description=(r"\bt1",), not_description=(r"post|gd|\+c",), contrast=False,
               te_ms=(0, 30), tr_ms=(0, 1200)),
    "t1ce": dict(description=(r"\bt1.*(post|gd|\+c)",), contrast=True, te_ms=(0, 30), tr_ms=(0, 1200)),
    "t2": dict(description=(r"\bt2",), not_description=("flair",), contrast=False, te_ms=(70, 200),
               tr_ms=(2000, 6000)),
    "flair": dict(description=("flair",), te_ms=(70, 200), tr_ms=(6000, 15000), slices=(10, 400)),
}  # fmt: skip


@dataclass(frozen=True)
class Series:
    label: str
    description: str
    facts: dict = field(default_factory=dict)


def _series(label: str, description: str, tr_ms=None, te_ms=None, agent=False, slices=22) -> Series:
    facts = {"contrast_agent": agent, "slices": slices}
    facts |= {} if tr_ms is None else {"tr_ms": tr_ms, "te_ms": te_ms}
    return Series(label, description, facts)


SERIES = [
    _series("a", "Ax T1", 500, 9.5),
    _series("b", "Ax T1 +C", 500, 9.5, agent=True),
    _series("c", "Ax T2 FSE", 4000, 92),
    _series("d", "Ax T2 FLAIR", 10_000, 90),
    _series("e", "Localizer", 20, 5, slices=3),
    _series("f", "crop"),
]


def _chosen(candidates, rules=RULES) -> dict[str, str]:
    choice = choose_sequences(candidates, rules)
    assert set(choice.chosen) | set(choice.missing) == set(rules)
    assert sorted([*choice.chosen.values(), *choice.left_out]) == list(range(len(candidates)))
    return {name: candidates[number].label for name, number in choice.chosen.items()}


EXPECTED = {"t1": "a", "t1ce": "b", "t2": "c", "flair": "d"}


@given(st.permutations(SERIES))
def test_the_order_of_the_series_does_not_matter(candidates):
    assert _chosen(candidates) == EXPECTED


@given(st.permutations(SERIES))
def test_without_descriptions_the_agent_and_the_numbers_tell_the_sequences(candidates):
    blank = [dataclasses.replace(item, description="") for item in candidates]
    rules = {**RULES, "t1": {**RULES["t1"], "slices": (10, 400)}}
    assert _chosen(blank, rules) == EXPECTED


def test_a_description_is_surer_than_numbers():
    odd = [_series("a", "T1 MPRAGE", 2300, 3), _series("b", "calibration", 500, 9.5)]
    assert _chosen(odd) == {"t1": "a"}


def test_a_missing_agent_is_believed_where_the_description_says_otherwise():
    candidates = [_series("a", "T1", 500, 9), _series("b", "T1 post gd", 500, 9)]
    assert _chosen(candidates) == {"t1": "a", "t1ce": "b"}


def test_a_named_agent_is_never_overlooked():
    candidates = [_series("a", "T1", 500, 9, agent=True)]
    choice = choose_sequences(candidates, RULES)
    assert "t1" in choice.missing
    # TR, TE and agent are those of the sequence after contrast.
    assert choice.chosen == {"t1ce": 0}
    rules = {"t1": RULES["t1"]}
    assert "described as t1, but has a contrast agent" in choose_sequences(candidates, rules).left_out[0]


def test_one_series_is_never_two_sequences():
    candidates = [_series("a", "T1", 500, 9)]
    rules = {"t1": dict(description=("t1",)), "t1ce": dict(description=("t1",), contrast=True)}
    assert choose_sequences(candidates, rules).missing == ("t1ce",)
    rules = {"t1": dict(description=("t1",)), "anatomy": dict(description=("t1",))}
    shown = "22 slices (TR 500 ms, TE 9 ms)"
    with pytest.raises(Unreadable, match=re.escape(f"t1: {shown}; anatomy: {shown}")):
        choose_sequences(candidates, rules)


def test_a_series_that_is_the_only_one_of_a_sequence_is_no_candidate_for_another():
    rules = {"t2": dict(description=("t2",)), "flair": dict(description=("flair",))}
    assert _chosen([SERIES[3], SERIES[2]], rules) == {"t2": "c", "flair": "d"}


def test_numbers_narrow_several_series_of_one_description():
    candidates = [_series("a", "Ax T2", 4000, 92), _series("b", "Ax T2", 9000, 12)]
    assert _chosen(candidates) == {"t2": "a"}


def test_several_that_fit_are_listed_by_their_slices_and_times_and_not_by_files_or_descriptions(
    tmp_path,
):
    for number, slices in enumerate((5, 6)):
        own = dicom_series.series(dicom_series.noise((7, 5, slices)))
        named = lambda data, _: setattr(data, "SeriesDescription", "T1 of Zebedee")  # noqa: E731
        dicom_series.write(tmp_path / f"Zebedee{number}", dicom_series.each(own, named))
    with pytest.raises(Unreadable) as refused:
        choose_sequences(find_series(tmp_path).series, RULES)
    for slices in (5, 6):
        assert f"{slices} slices (TR 500 ms, TE 10 ms)" in str(refused.value)
    assert "Zebedee" not in str(refused.value) and ".dcm" not in str(refused.value)


def test_missing_sequences_are_named_and_the_rest_has_reasons():
    bone = _series("g", "CT bone", 30_000, 1)
    choice = choose_sequences([SERIES[2], SERIES[5], bone], RULES)
    assert choice.chosen == {"t2": 0} and choice.missing == ("t1", "t1ce", "flair")
    assert choice.left_out == {
        1: "its description fits no sequence, and its header gives no TR or TE",
        2: "its description fits no sequence, nor do TR 30000 ms, TE 1 ms with no contrast agent "
        "and 22 slices",
    }


def test_numbers_alone_may_take_a_localizer_for_a_sequence_unless_the_rule_counts_slices():
    assert _chosen([SERIES[4]]) == {"t1": "e"}
    assert _chosen([SERIES[4]], {"t1": {**RULES["t1"], "slices": (10, 400)}}) == {}


def test_too_few_slices_are_never_a_sequence():
    choice = choose_sequences([_series("a", "FLAIR", 10_000, 90, slices=3)], RULES)
    assert choice.missing == tuple(RULES) and "3 slices" in choice.left_out[0]


@pytest.mark.parametrize(
    ("rule", "named"),
    [
        ({"descripton": ("t1",)}, "descripton"),
        ({"description": "t1"}, "'t1'"),
        ({"description": ("(",)}, "regular expressions"),
        ({"description": (3,)}, "regular expressions"),
        ({"contrast": "yes"}, "True, False or None"),
        ({"te_ms": (30,)}, "lowest, highest"),
        ({"te_ms": (30, 10)}, "lowest, highest"),
        ({"te_ms": ("0", 10)}, "lowest, highest"),
        ({}, "nothing"),
    ],
)
def test_a_rule_that_cannot_be_used_is_one_line(rule, named):
    with pytest.raises(InputError, match="prep in the task file") as refused:
        check_rules({"t1": rule})
    assert named in str(refused.value)


# A real case


DESCRIPTIONS = {"t1": "T1pre_reg", "t1ce": "T1post", "t2": "T2_reg", "flair": "FLAIR_reg"}


def _assert_four_found(folder) -> None:
    found = read_dicom(folder)
    assert len(found) == 5 and not found.refused
    choice = choose_sequences(found.series, RULES)
    assert not choice.missing
    for name, number in choice.chosen.items():
        assert found.series[number].description == DESCRIPTIONS[name]
        volume = found[number]
        assert volume.array.shape == (280, 320, 22)
        np.testing.assert_allclose(volume.spacing_mm, (0.6875, 0.6875, 6.5), atol=1e-3)
        assert volume.shear_degrees < 0.01 and abs(volume.affine[1, 2]) > 1  # oblique, not sheared
    ((crop, reason),) = choice.left_out.items()
    assert found[crop].array.shape == (34, 50, 40)
    np.testing.assert_allclose(found[crop].spacing_mm, (1, 1, 1))
    np.testing.assert_allclose(found[crop].affine[:3, 3], (-33, -49, 1))
    assert reason == "its description fits no sequence, and its header gives no TR or TE"


def test_the_real_study_gives_four_sequences_and_leaves_the_crop_out(dicom_brain):
    _assert_four_found(dicom_brain)


def test_the_real_study_is_the_same_in_shuffled_folders_and_one_flat_folder(dicom_brain, tmp_path):
    files = sorted(path for path in dicom_brain.rglob("*") if path.is_file())
    order = np.random.default_rng(0).permutation(len(files))
    for place, number in enumerate(order):
        shutil.copy(files[number], tmp_path / f"IM{place:03d}")
    _assert_four_found(tmp_path)


def test_no_description_and_still_four_sequences(dicom_brain):
    blank = [dataclasses.replace(item, description="") for item in find_series(dicom_brain).series]
    choice = choose_sequences(blank, RULES)
    named = find_series(dicom_brain).series
    assert {name: named[number].description for name, number in choice.chosen.items()} == DESCRIPTIONS


def test_simpleitk_finds_the_real_series_at_the_same_place(dicom_brain):
    sitk = pytest.importorskip("SimpleITK")
    found = find_series(dicom_brain)
    item = next(item for item in found.series if item.description == "T2_reg")
    reader = sitk.ImageSeriesReader()
    folder = str(item.files[0].parent)
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(folder))
    image = reader.Execute()
    volume = item.read()
    array = sitk.GetArrayFromImage(image)  # (z, y, x) in the patient's LPS
    np.testing.assert_array_equal(volume.array[::-1, ::-1], array.transpose(2, 1, 0))
    for x, y, z in ((0, 0, 0), (279, 319, 21), (10, 200, 5)):
        place = np.array(image.TransformIndexToPhysicalPoint((279 - x, 319 - y, z))) * (-1, -1, 1)
        np.testing.assert_allclose((volume.affine @ [x, y, z, 1])[:3], place, atol=2e-2)


def test_the_name_and_id_of_the_real_patient_appear_nowhere(dicom_brain):
    folder = read_dicom(dicom_brain)
    text = " ".join([repr(folder), *(repr(v.facts) for v in folder), *(repr(s) for s in folder.series)])
    ids = {item.patient_id for item in folder.series}
    assert ids and "albus" not in text.lower() and "dumbledore" not in text.lower()
    assert not any(patient in repr(volume.facts) for patient in ids for volume in folder)
