"""The patient's identity appears only in the attributes for it, in no fact, reason, message or log."""

import logging
import pickle
import warnings

import numpy as np
import pytest
from dicom_series import each, multi_frame, noise, series, volume_of, write
from planted_identities import PLANTED, UID, WORDS

from data_prep.cases.dicom_case import sequence_facts
from data_prep.io.dicom.series import find_series, read_dicom
from data_prep.prepare.pseudonyms import Pseudonyms
from data_prep.volume import Volume


def _plant(data, _=0):
    for keyword, value in PLANTED.items():
        setattr(data, keyword, value)
    data.SeriesInstanceUID = UID
    data.Manufacturer, data.MagneticFieldStrength, data.FlipAngle = "ACME Ltd", 1.5, 70


def _assert_silent(*texts) -> None:
    for text in texts:
        found = [word for word in WORDS if word in str(text).lower()]
        assert not found, f"{found} in {text}"


def _damages():
    """Series that are refused, each for another reason."""
    yield "gap", lambda data, n: setattr(data, "ImagePositionPatient", [0, 0, 10 * n + 5 * (n > 2)])
    yield "colour", lambda data, n: setattr(data, "PhotometricInterpretation", "PALETTE COLOR")
    yield "cut", lambda data, n: setattr(data, "PixelData", b"\0\0")
    yield "date", lambda data, n: setattr(data, "SeriesInstanceUID", "")
    yield "twice", lambda data, n: setattr(data, "ImagePositionPatient", [0, 0, 3 * (n // 2)])
    yield "patients", lambda data, n: setattr(data, "PatientID", f"QX-7781-{n % 2}")


@pytest.fixture
def heard(caplog, capfd):
    """What was logged, warned of and printed while reading."""
    caplog.set_level(logging.DEBUG)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        yield lambda: (caplog.text, *(str(item.message) for item in warned), *capfd.readouterr())


@pytest.mark.parametrize("enhanced", [False, True])
def test_planted_names_ids_dates_and_uids_appear_nowhere(tmp_path, heard, enhanced):
    datasets = [multi_frame(noise())] if enhanced else series(noise())
    write(tmp_path, each(datasets, _plant))
    folder = read_dicom(tmp_path)
    (item,) = folder.series
    assert folder[0].facts["contrast_agent"] is True and folder[0].facts["manufacturer"] == "ACME Ltd"
    assert folder[0].facts["field_strength_t"] == 1.5
    assert "model" not in folder[0].facts  # it holds a word of the patient's name
    _assert_silent(repr(folder), repr(folder[0].facts), repr(folder[0]), repr(item))
    _assert_silent(repr(find_series(tmp_path)), *heard())
    # Kept where they are asked for by name, for a pseudonym and for the choice of a sequence.
    assert item.patient_id == "QX-7781"
    assert item.description == "t1 of Zebedee, gd"


@pytest.mark.parametrize("name", [name for name, _ in _damages()])
def test_reasons_tell_nothing_of_the_patient(tmp_path, heard, name):
    datasets = each(series(noise()), _plant)
    write(tmp_path, each(datasets, dict(_damages())[name]))
    folder = read_dicom(tmp_path)
    assert not folder and folder.refused
    _assert_silent(*(reason for reason, _ in folder.refused), repr(folder), *heard())


def test_values_that_break_the_standard_are_quoted_in_no_warning(tmp_path, heard):
    paths = write(tmp_path, each(series(noise()), _plant))
    for path in paths:
        raw = path.read_bytes()
        for good, bad in ((b"19610203", b"Quark 61"), (UID.encode(), b"1.2.3.Zebede")):
            assert good in raw
            raw = raw.replace(good, bad)
        path.write_bytes(raw)
    folder = read_dicom(tmp_path)
    assert len(folder) == 1
    _assert_silent(repr(folder), *heard())


def test_the_site_is_stored_only_as_the_caller_says(tmp_path):
    write(tmp_path, each(series(noise()), _plant))
    assert "site" not in read_dicom(tmp_path)[0].facts
    assert read_dicom(tmp_path, site=str)[0].facts["site"] == "Hospital of Nowhere"
    site = read_dicom(tmp_path, site=Pseudonyms(b"0123456789abcdef").of)[0].facts["site"]
    assert site.startswith("p-") and "Nowhere" not in site


def test_facts_and_folders_cross_process_borders_unchanged(tmp_path):
    write(tmp_path, each(series(noise()), _plant))
    folder = read_dicom(tmp_path)
    copy = pickle.loads(pickle.dumps(folder))
    assert copy[0].facts == folder[0].facts and copy.series == folder.series


def test_facts_are_those_on_which_all_slices_agree(tmp_path):
    def change(data, number):
        data.Manufacturer, data.MagneticFieldStrength = "ACME", 15_000  # gauss
        data.FlipAngle, data.ScanningSequence = 60 + number % 2, ["SE", "IR"]
        data.InversionTime, data.SliceThickness = 900, 2.5

    assert volume_of(tmp_path, each(series(noise()), change)).facts == {
        "modality": "MR", "manufacturer": "ACME", "field_strength_t": 1.5, "tr_ms": 500.0,
        "te_ms": 10.0, "ti_ms": 900.0, "slice_thickness_mm": 2.5, "scanning_sequence": "SE\\IR",
        "contrast_agent": False, "slices": 6,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("sex", "age", "expected"),
    [
        ("F", "063Y", {"sex": "F", "age": "063Y"}), ("m", "018M", {"sex": "M", "age": "018M"}),
        ("O", "093Y", {"sex": "O", "age": "90"}), ("", "", {}), ("unknown", "63", {}),
    ],
)  # fmt: skip
def test_sex_and_age_are_kept_where_they_are_written_as_the_standard_says(tmp_path, sex, age, expected):
    def change(data, _):
        data.PatientSex, data.PatientAge = sex, age

    facts = volume_of(tmp_path, each(series(noise()), change)).facts
    assert {name: facts[name] for name in ("sex", "age") if name in facts} == expected


def test_sex_and_age_of_several_sequences_are_one_fact_of_the_patient():
    volumes = {
        name: Volume(np.zeros((2, 2, 2)), np.eye(4), {"sex": "F", "age": age, "tr_ms": 500.0})
        for name, age in (("t1", "063Y"), ("t2", "064Y"))
    }
    facts = sequence_facts(volumes)
    assert facts["sex"] == "F" and "age" not in facts  # they were not scanned at the same age
    assert facts["t1_tr_ms"] == 500.0 and "t1_sex" not in facts


@pytest.mark.parametrize(
    ("agent", "expected"),
    [
        ("Gadovist", True), ("10 ml Dotarem", True), ("MAGNEVIST 0.5 mmol/ml", True),
        ("Normal saline and Gadavist", True), ("WITHOUT AND WITH GADAVIST", True),
        ("NON IONIC", True), ("PRE/POST", True),
        *((text, False) for text in (
            "", "NO", "none", "NONE GIVEN", "NO CONTRAST", "No IV contrast", "N/A", "NA", "n.a.", "W/O",
            "w/o contrast", "WITHOUT", "NIL", "-", "--", "UNKNOWN", "0 ml", "0.0ml", "0", "Non-contrast",
            "NOT ADMINISTERED", "ohne KM", "unenhanced", "PRE-CONTRAST",
        )),
    ],
)
def test_an_agent_counts_as_given_where_the_text_names_one(tmp_path, agent, expected):
    named = each(series(noise()), lambda data, _: setattr(data, "ContrastBolusAgent", agent))
    assert volume_of(tmp_path, named).facts["contrast_agent"] is expected
