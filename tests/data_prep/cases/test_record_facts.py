"""What of a DICOM header is in a prepared record: acquisition facts, and nobody's identity."""

import shutil
from pathlib import Path

import pydicom
import pytest
from planted_identities import PLANTED, UID, WORDS

from data_prep.phantom.glioma.mgmt import write_mgmt_phantom
from data_prep.write import main as write
from mri_tf.core.command_line import run_command
from mri_tf.store.prepared import Prepared
from mri_tf.task.files import find_task_file, load_task

TASK = """
from mri_tf.task import Task
from mri_tf.tasks.mgmt import RULES

TASK = Task(
    name="own", layout="dicom_patients", channels=tuple(RULES), image_shape=(32, 32),
    class_names=("low", "high"), model="vgg",
    prep=dict(sequences=RULES, reference="t1ce", slices=dict(count=2), window=(1.0, 99.0)),
)
"""
# Kept as the phantom has them: the sequences are chosen by the description.
NOT_PLANTED = ("SeriesDescription", "ContrastBolusAgent", "StudyInstanceUID")
SCANNERS = {"ACME", "Initech"}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Two patients whose every header field for identities is filled, one of them unreadable."""
    folder = tmp_path_factory.mktemp("home")
    write_mgmt_phantom(folder / "phantom", 2, seed=1)
    (folder / "own.py").write_text(TASK)
    for number, name in enumerate(("A", "B")):
        shutil.copytree(folder / "phantom" / "train" / f"{number:05d}", folder / "raw" / name)
        _plant(folder / "raw" / name, number)
    shutil.rmtree(folder / "raw" / "B" / "T2w")
    (folder / "raw" / "patients.csv").write_text("patient_id,label,site\nA,low,north\nB,high,\n")
    return folder


def _plant(folder: Path, number: int) -> None:
    for place, series in enumerate(sorted(folder.iterdir())):
        for path in series.iterdir():
            data = pydicom.dcmread(path)
            for keyword, value in PLANTED.items():
                if keyword not in NOT_PLANTED:
                    setattr(data, keyword, value)
            data.ManufacturerModelName = "Avanto"
            data.SeriesInstanceUID = f"{UID}.{number}.{place}"
            data.StudyInstanceUID = PLANTED["StudyInstanceUID"]
            data.save_as(path)


@pytest.fixture(scope="module")
def written(home):
    """The prepared set and everything the command said."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        said: list[str] = []
        patch.setattr("builtins.print", lambda *words, **_: said.extend(map(str, words)))
        code = run_command(write, ["--task", "own.py", "--raw", "raw", "--out", "data"])
    assert code == 1, said
    return Prepared.open(home / "data"), said


def test_a_record_knows_how_it_was_acquired(written):
    facts = written[0].record(0).facts
    assert facts["manufacturer"] in SCANNERS and facts["model"] == "Avanto"
    assert facts["field_strength_t"] in (1.5, 3.0) and facts["modality"] == "MR"
    assert facts["site"] == "north"
    expected = {"flair": (9000, 120, 150), "t1": (550, 9, 70), "t1ce": (1900, 3, 9),
                "t2": (4500, 95, 150)}  # fmt: skip
    for name, (tr_ms, te_ms, degrees) in expected.items():
        assert (facts[f"{name}_tr_ms"], facts[f"{name}_te_ms"]) == (tr_ms, te_ms)
        assert facts[f"{name}_flip_angle_degrees"] == degrees
        assert 3 < facts[f"{name}_slice_thickness_mm"] < 8
        assert facts[f"{name}_contrast_agent"] is (name == "t1ce")


def test_a_record_holds_no_other_facts_than_these(written):
    known = {
        "modality", "manufacturer", "model", "field_strength_t", "tr_ms", "te_ms", "ti_ms",
        "flip_angle_degrees", "slice_thickness_mm", "scanning_sequence", "contrast_agent", "slices",
        "sex", "age",
    }  # fmt: skip
    placed = {
        "source_shape", "source_affine", "source_axes", "site", "series_left_out", "sequences_apart",
    }  # fmt: skip
    names = load_task(find_task_file("mgmt")).channels
    allowed = known | placed | {f"{name}_{fact}" for name in names for fact in known}
    for position in range(len(written[0])):
        assert set(written[0].record(position).facts) <= allowed


def test_no_planted_identity_is_in_any_file_of_the_set_or_in_any_message(home, written):
    prepared, said = written
    words = [word.encode() for word in WORDS if len(word) > 5]  # four digits stand in any hash
    for path in sorted((home / "data").iterdir()):
        whole = path.read_bytes().lower()  # the private sidecar too: folders here name nobody
        assert not [word for word in words if word in whole], path.name
    text = " ".join(said).lower()
    assert "it has no t2" in text and not [word for word in WORDS if word in text]


def test_the_planted_words_would_have_been_found(home):
    whole = b"".join(path.read_bytes().lower() for path in (home / "raw" / "A" / "T1w").iterdir())
    assert [word for word in WORDS if word.encode() in whole] == list(WORDS)
