"""A real archive, Orthanc, stores our objects over DICOMweb and gives them and studies back."""

from pathlib import Path

import numpy as np
import pytest
from dicom_answered import explains_brightness, finds_bright
from dicom_kinds import folders
from dicomweb import needs_orthanc, running_orthanc
from made_up import predicted_to, run_predict
from pydicom import dcmread

from data_prep.layouts import cases_table, labelled_volumes, volumes_with_types
from mri_tf.dicom.web import fetch, parse_address
from mri_tf.export.reader import Exported
from mri_tf.predict.answers import Model
from mri_tf.task.files import FOLDER, load_task
from mri_tf.task.overrides import with_values

pytestmark = [pytest.mark.slow, needs_orthanc]
KINDS = ("MR", "oblique", "multi-frame", "JPEG-LS", "strange values")


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    with running_orthanc(tmp_path_factory.mktemp("orthanc") / "home") as server:
        yield server


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _address(archive, source: Path, series: bool = False) -> str:
    data = dcmread(_files(source)[0], stop_before_pixels=True)
    path = f"/series/{data.SeriesInstanceUID}" if series else ""
    return f"dicomweb:{archive.base}/studies/{data.StudyInstanceUID}{path}"


def _without_names(rows: list[dict]) -> list[dict]:
    return [{key: value for key, value in row.items() if key not in ("input", "map")} for row in rows]


def _same(stored, made) -> bool:
    """Whether an object came back as it was, but for the order that a server may write it in."""
    for element in made:
        other = stored.get(element.tag)
        if element.keyword in ("PixelData", "FloatPixelData"):
            if bytes(other.value) != bytes(element.value):
                return False
        elif other is None or other.value != element.value:
            return False
    return True


@pytest.mark.parametrize("kind", KINDS)
def test_a_study_in_orthanc_gives_the_answers_of_its_folder(asked, archive, tmp_path, kind):
    source = folders(tmp_path / "in")[kind]
    assert archive.store(_files(source)) == len(_files(source))
    asked(explains_brightness(), volumes_with_types)
    local = predicted_to(tmp_path / "a.json", "--input", source, "--explain")["answers"]
    for number, series in enumerate((False, True)):
        address = _address(archive, source, series)
        out = tmp_path / f"b{number}.json"
        fetched = predicted_to(out, "--input", address, "--explain")["answers"]
        assert _without_names(fetched) == _without_names(local)


@pytest.mark.parametrize("kind", KINDS)
def test_objects_are_stored_and_come_back_as_they_were(asked, archive, tmp_path, kind):
    source = folders(tmp_path / "in")[kind]
    archive.store(_files(source))
    asked(finds_bright(), labelled_volumes)
    flags = ("--input", source, "--anyway", "--out", tmp_path / "labels")
    assert run_predict(*flags, "--dicom-out", tmp_path / "one") == 0
    asked(explains_brightness(), volumes_with_types)
    flags = ("--input", source, "--anyway", "--explain", "--dicom-out", tmp_path / "two")
    predicted_to(tmp_path / "x.json", *flags)
    objects = [*_files(tmp_path / "one"), *_files(tmp_path / "two")]
    assert len(objects) == 4
    assert archive.store(objects) == len(objects)
    address = parse_address(_address(archive, source))
    assert fetch(address, tmp_path / "back") == len(_files(source)) + len(objects)
    back = {dcmread(path).SOPInstanceUID: dcmread(path) for path in _files(tmp_path / "back")}
    for path in objects:
        made = dcmread(path)
        assert _same(back[made.SOPInstanceUID], made), path.name
    # With the objects in its study, the study still gives the same answers: they are no scans.
    asked(explains_brightness(), volumes_with_types)
    of_series = _address(archive, source, series=True)
    again = predicted_to(tmp_path / "y.json", "--input", of_series, "--anyway")["answers"]
    first = predicted_to(tmp_path / "z.json", "--input", source, "--anyway")["answers"]
    assert _without_names(again) == _without_names(first)


def test_four_sequences_of_a_real_patient_by_dicomweb_and_back(asked, archive, tmp_path, shared_data):
    """The sequences are told apart by their headers; labels lie on the grid of the first one."""
    source = shared_data / "dicom_brain" / "PGBM-003"
    task = with_values(
        load_task(FOLDER / "brain_tumor_type.py"),
        {"layout": "cases_table", "channels": ("t1", "t1ce", "flair", "t2"), "image_shape": (16, 32, 32),
         "prep": {}},
    )  # fmt: skip

    def call(signature, feed):
        image = feed["image"][0]
        share = 1 / (1 + np.exp(-image.mean() / (1 + image.std())))
        found = {"probabilities": np.array([[share / 2, share / 2, 1 - share]]),
                 "decision": np.array([1])}  # fmt: skip
        return found | {"map": image[None, ..., 0]}

    asked(Model(Exported(task, version=1), call, ("serving_default", "explain")), cases_table)
    assert archive.store(_files(source)) == len(_files(source))
    flags = ("--explain", "--dicom-out")
    local = predicted_to(tmp_path / "a.json", "--input", source, *flags, tmp_path / "one")["answers"]
    studies = {dcmread(path, stop_before_pixels=True).StudyInstanceUID for path in _files(source)}
    addresses = [f"dicomweb:{archive.base}/studies/{study}" for study in sorted(studies)]
    assert len(addresses) == 1
    fetched = predicted_to(
        tmp_path / "b.json", "--input", *addresses, *flags, tmp_path / "two"
    )["answers"]  # fmt: skip
    assert _without_names(fetched) == _without_names(local)
    objects = _files(tmp_path / "two")
    assert [path.name for path in objects] == ["study-1_gradcam.dcm", "study-1_report.dcm"]
    assert archive.store(objects) == len(objects)
