"""Tasks that read DICOM: a folder a patient, sequences by rule, one grid, channels or slices."""

import os
import shutil
from contextlib import chdir
from pathlib import Path

import numpy as np
import pydicom
import pytest

from data_prep.case import Case, Unreadable
from data_prep.cases.dicom_case import check_settings, dicom_files, read_case, read_sequences
from data_prep.cases.slice_cases import chosen_heights
from data_prep.layouts import dicom_patients, rsna_mgmt
from data_prep.phantom.write import write_fake_raw
from data_prep.prepare.prepare import prepare
from data_prep.write import main as write
from mri_tf.core.command_line import run_command
from mri_tf.core.errors import InputError
from mri_tf.store.prepared import Prepared
from mri_tf.store.record import NO_LABEL
from mri_tf.task.files import find_task_file, load_task
from mri_tf.task.overrides import with_values

FILE = find_task_file("mgmt")
TASK = with_values(load_task(FILE), {"image_shape": (48, 48), "prep.slices.count": 4})
VOLUMES = with_values(
    TASK,
    {
        "image_shape": (24, 32, 32),
        "prep": dict(sequences=TASK.prep["sequences"], reference="t1ce", dtype="float32"),
    },
)


@pytest.fixture(scope="module")
def phantom(tmp_path_factory) -> Path:
    raw = tmp_path_factory.mktemp("mgmt") / "raw"
    write_fake_raw(FILE, raw, 4, seed=0)
    return raw


def _copy(phantom: Path, folder: Path, patient: str = "00000") -> Path:
    """A patient of the phantom alone, to be spoilt."""
    shutil.copytree(phantom / "train" / patient, folder / "p")
    return folder / "p"


def _change(series: Path, change) -> None:
    for path in series.iterdir():
        data = pydicom.dcmread(path)
        change(data)
        data.save_as(path)


def _records(raw: Path, task=VOLUMES):
    return read_case(raw, Case("p", dicom_files(raw, "p"), "methylated"), task)


def test_every_labelled_patient_is_listed_with_all_their_files(phantom):
    cases = rsna_mgmt.list_cases(phantom, TASK)
    assert [case.patient for case in cases] == ["00000", "00001", "00002", "00003"]
    assert sorted(case.label for case in cases) == 2 * ["methylated"] + 2 * ["unmethylated"]
    files = sorted(str(path.relative_to(phantom)) for path in (phantom / "train/00002").rglob("*.dcm"))
    assert sorted(cases[2].files.values()) == files and len(files) == 26 + 24 + 40 + 28


def test_ids_that_a_spreadsheet_has_shortened_are_found(phantom, tmp_path):
    (tmp_path / "train").symlink_to(phantom / "train")
    (tmp_path / "train_labels.csv").write_text("BraTS21ID,MGMT_value\n0,1\n3,0\n")
    assert [case.patient for case in rsna_mgmt.list_cases(tmp_path, TASK)] == ["00000", "00003"]


@pytest.mark.parametrize(
    ("rows", "named"),
    [("0,2\n", "'2'"), ("0,1\n00000,1\n", "00000"), ("x1,1\n", "000x1"), ("", "rows")],
)
def test_tables_that_cannot_be_are_refused(phantom, tmp_path, rows, named):
    (tmp_path / "train_labels.csv").write_text("BraTS21ID,MGMT_value\n" + rows)
    with pytest.raises(InputError, match=named):
        rsna_mgmt.list_cases(tmp_path, TASK)


def test_the_unlabelled_folder_is_prepared_alike_without_labels(phantom, tmp_path):
    prepared, skipped = prepare(TASK, FILE, phantom / "test", tmp_path / "test")
    assert not skipped and set(prepared.labels) == {NO_LABEL} and len(prepared) == 4
    prepared.check_fits(TASK)


def test_a_patient_without_a_folder_is_skipped_with_a_reason(phantom, tmp_path):
    (tmp_path / "train").symlink_to(phantom / "train")
    (tmp_path / "train_labels.csv").write_text("BraTS21ID,MGMT_value\n0,1\n77,0\n")
    prepared, (skipped,) = prepare(TASK, FILE, tmp_path, tmp_path / "out")
    assert len(prepared) == 4 and "the folder does not exist" in skipped.reason
    again, still = prepare(TASK, FILE, tmp_path, tmp_path / "out")
    assert len(again) == 4 and still == [skipped]


def test_a_patient_gives_slices_of_all_sequences_at_the_same_places(phantom):
    case = rsna_mgmt.list_cases(phantom, TASK)[0]
    records = read_case(phantom, case, TASK)
    assert len(records) == 4 and {record.patient for record in records} == {"00000"}
    heights = [record.affine[2, 3] for record in records]
    assert heights == sorted(heights, reverse=True)  # head first
    for record in records:
        assert record.image.shape == (48, 48, 4) and record.image.dtype == np.uint8
        outlines = [record.image[..., channel] > 25 for channel in range(4)]
        for outline in outlines[1:]:
            assert (outline & outlines[0]).sum() / (outline | outlines[0]).sum() > 0.75


def test_all_sequences_lie_on_the_grid_of_the_reference(phantom):
    case = rsna_mgmt.list_cases(phantom, TASK)[1]
    for reference, slices in (("t1ce", 40), ("flair", 26)):
        task = with_values(VOLUMES, {"prep.reference": reference})
        (record,) = read_case(phantom, case, task)
        assert record.facts["source_shape"][2] == slices
        assert record.image.shape == (24, 32, 32, 4)
        assert record.facts["flair_tr_ms"] == 9000 and record.facts["t1ce_contrast_agent"] is True


def test_the_order_of_channels_is_that_of_the_task_and_not_of_the_folders(phantom, tmp_path):
    home = _copy(phantom, tmp_path)
    (before,) = _records(tmp_path)
    for place, name in enumerate(("T2w", "T1wCE", "FLAIR", "T1w")):
        (home / name).rename(home / f"{place}")
    (after,) = _records(tmp_path)
    np.testing.assert_array_equal(before.image, after.image)
    turned = with_values(
        VOLUMES,
        {
            "channels": TASK.channels[::-1],
            "prep.sequences": dict(reversed(TASK.prep["sequences"].items())),
        },
    )
    np.testing.assert_array_equal(_records(tmp_path, turned)[0].image, after.image[..., ::-1])


def test_one_sequence_alone_is_one_channel(phantom):
    task = with_values(TASK, {**TASK.variants["t2_alone"], "image_shape": (48, 48)})
    records = read_case(phantom, rsna_mgmt.list_cases(phantom, task)[0], task)
    assert records[0].image.shape == (48, 48, 1)
    assert "series_left_out" in records[0].facts


def test_without_descriptions_the_folders_names_tell_the_sequences(phantom, tmp_path):
    home = _copy(phantom, tmp_path)
    (before,) = _records(tmp_path)

    def change(data):
        del data.SeriesDescription
        data.RepetitionTime = data.EchoTime = 1  # no help either

    for series in home.iterdir():
        _change(series, change)
    np.testing.assert_array_equal(_records(tmp_path)[0].image, before.image)


def test_a_missing_sequence_fails_is_left_out_or_is_filled_with_nought(phantom, tmp_path):
    home = _copy(phantom, tmp_path)
    shutil.rmtree(home / "T2w")
    with pytest.raises(Unreadable, match="it has no t2$"):
        _records(tmp_path)
    with pytest.raises(Unreadable, match="skips such patients"):
        _records(tmp_path, with_values(VOLUMES, {"prep.missing": "skip"}))
    filled = with_values(
        VOLUMES,
        {
            "prep.missing": "zero_fill",
            "channels": (*VOLUMES.channels, *(f"has_{name}" for name in VOLUMES.channels)),
        },
    )
    check_settings(filled)
    (record,) = _records(tmp_path, filled)
    there = record.image[12, 16, 16]
    assert (there[3], list(there[4:])) == (0, [1, 1, 1, 0])


def test_a_blank_sequence_is_a_missing_one(phantom, tmp_path):
    home = _copy(phantom, tmp_path)
    _change(home / "FLAIR", lambda data: setattr(data, "PixelData", bytes(len(data.PixelData))))
    with pytest.raises(Unreadable, match="it has no flair; left out: flair has one value everywhere"):
        _records(tmp_path)


def test_series_of_two_people_in_one_folder_are_refused(phantom, tmp_path):
    home = _copy(phantom, tmp_path)
    _change(home / "T1w", lambda data: setattr(data, "PatientID", "Zebedee"))
    with pytest.raises(Unreadable, match="series of 2 patients") as refused:
        _records(tmp_path)
    assert "Zebedee" not in str(refused.value)


def test_two_series_of_one_sequence_are_listed_and_refused(phantom, tmp_path):
    home = _copy(phantom, tmp_path)
    shutil.copytree(home / "T2w", home / "again")
    uid = pydicom.uid.generate_uid()
    _change(home / "again", lambda data: setattr(data, "SeriesInstanceUID", uid))
    both = r"several series fit .* t2: \d+ slices \(TR .*\), \d+ slices \(TR"
    with pytest.raises(Unreadable, match=both):
        _records(tmp_path)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (dict(count=1, low=0.0, high=1.0), [5]),
        (dict(count=4, low=0.0, high=1.0), [8, 6, 3, 1]),
        (dict(count=99, low=0.0, high=1.0), [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]),
        (dict(count=2, low=0.5, high=1.0), [8, 6]),
        (dict(count=1, low=0.9, high=1.0), [9]),
    ],
)
def test_slices_lie_in_the_middles_of_equal_parts_of_the_brain(rule, expected):
    inside = np.zeros((3, 3, 20), bool)
    inside[1, 1, 7:17] = True
    assert [z - 7 for z in chosen_heights(inside, **rule)] == expected


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"prep.sequences": {}}, "0 rules"),
        ({"prep.sequences.t1": dict(descripton=("t1",))}, "descripton"),
        ({"prep.reference": "t3"}, "t3"),
        ({"channels": ("a", "b", "c", "d")}, "a, b, c, d"),
        ({"prep.slices": dict(count=0)}, "slices"),
        ({"prep.slices": dict(count=3, lo=0.1)}, "slices"),
        ({"prep.slices": dict(count=3, low=0.8, high=0.2)}, "slices"),
        ({"prep.window": (5.0, 5.0)}, "window"),
        ({"prep.missing": "zero_fil"}, "zero_fil"),
        ({"prep.clahe": {}}, "clahe"),
        ({"image_shape": (16, 16, 16)}, "for 2D tasks"),
        ({"kind": "segmentation"}, "kind segmentation"),
    ],
)
def test_settings_that_cannot_be_are_one_line(values, named):
    with pytest.raises(InputError, match=named):
        check_settings(with_values(TASK, values))


# ---- a user's task on a real case

TASK_TEXT = f"""
from mri_tf.task import Task

TASK = Task(
    name="own", layout="dicom_patients", channels=("t1", "t1ce", "t2", "flair"),
    image_shape=(16, 48, 48),
    class_names=("low", "high"), model="grader3d", model_args=dict(filters=2, dense_units=4),
    prep=dict(
        sequences={{name: {TASK.prep["sequences"]!r}[name] for name in ("t1", "t1ce", "t2", "flair")}},
        reference="t1ce",
    ),
)
"""


@pytest.fixture(scope="module")
def own(dicom_brain, tmp_path_factory):
    """Three fake patients of one real case: as it is, all files in one folder, without its T2."""
    home = tmp_path_factory.mktemp("own")
    (home / "own.py").write_text(TASK_TEXT)
    files = sorted(path for path in dicom_brain.rglob("*") if path.is_file())
    for number in np.random.default_rng(0).permutation(len(files)):
        path = files[number]
        place = path.relative_to(dicom_brain)
        for copy in (Path("a") / place, Path("flat", f"IM{number:04d}"), Path("no-t2") / place):
            if copy.parts[0] != "no-t2" or "T2" not in str(place):
                (home / "raw" / copy).parent.mkdir(parents=True, exist_ok=True)
                os.symlink(path.resolve(), home / "raw" / copy)
    table = "patient_id,label,folder,site\nA,low,a,north\nB,high,flat,north\nC,low,no-t2,south\n"
    (home / "raw" / "patients.csv").write_text(table)
    return home


@pytest.fixture(scope="module")
def written(own):
    with chdir(own):
        assert run_command(write, ["--task", "own.py", "--raw", "raw", "--out", "data"]) == 1
    return Prepared.open(own / "data")


def test_the_real_case_gives_four_channels_whatever_the_order_of_its_files(written):
    assert list(written.patients) == ["A", "A"]  # its folder stands in the table twice
    assert written.image_shape == (16, 48, 48, 4)
    first, second = written.record(0), written.record(1)
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_allclose(first.affine, second.affine)
    assert first.facts["t2_te_ms"] > first.facts["t1_te_ms"] and first.facts["t1ce_contrast_agent"]
    assert first.facts["site"] == "north" and first.facts["source_shape"] == [280, 320, 22]


def test_the_crop_of_the_real_case_is_left_out_with_its_reason(written):
    assert written.record(0).facts["series_left_out"] == [
        "its description fits no sequence, and its header gives no TR or TE"
    ]


def test_a_real_patient_without_a_sequence_is_skipped_with_a_reason(own):
    task = load_task(own / "own.py")
    _, (skipped,) = prepare(task, own / "own.py", own / "raw", own / "data")
    assert "it has no t2; left out: its description fits no sequence" in skipped.reason


def test_nothing_of_the_real_patient_is_in_the_set(own, written):
    (first, *_) = (path for path in (own / "raw" / "a").rglob("*") if path.is_file())
    header = pydicom.dcmread(first, stop_before_pixels=True)
    words = [str(header.PatientName).split("^")[0].encode(), str(header.PatientID).encode()]
    words += [str(header.StudyInstanceUID).encode(), str(header.SeriesInstanceUID).encode()]
    assert all(len(word) > 3 for word in words)
    # The private sidecar names files, whose folder may be called after a patient.
    for path in (own / "data").iterdir():
        whole = path.read_bytes()
        assert path.name == "sources.private.csv" or not any(word in whole for word in words), path


def test_a_patient_whose_folder_is_not_named_has_one_of_its_own_name(tmp_path):
    task = with_values(TASK, {"class_names": ("low", "high")})
    for folder in ("A", "flat"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "1.dcm").touch()
    for word in ("", "NA"):
        table = f"patient_id,label,folder\nA,low,{word}\nB,high,flat\n"
        (tmp_path / "patients.csv").write_text(table, encoding="utf-8")
        found = [[*case.files.values()] for case in dicom_patients.list_cases(tmp_path, task)]
        assert found == [["A/1.dcm"], ["flat/1.dcm"]]


def test_the_folder_of_a_patient_lies_in_the_raw_folder(own):
    for folder in ("../elsewhere", "/etc"):
        with pytest.raises(InputError, match="lie in the raw folder"):
            dicom_files(own / "raw", folder)


def test_reading_names_the_series_that_are_no_sequence(own):
    task = load_task(own / "own.py")
    case = Case("a", dicom_files(own / "raw", "a"))
    volumes, facts = read_sequences(own / "raw", case, task.prep["sequences"])
    left_out = facts["series_left_out"]
    assert set(volumes) == {"t1", "t1ce", "t2", "flair"} and len(left_out) == 1
