"""What messages about wrong arguments leave out: passwords, and UIDs of studies."""

import pytest
from refused import error_line

from mri_tf.core.command_line import Parser
from mri_tf.track.destination import shown

STUDY = "dicomweb:https://h/dicom-web/studies/1.2.840.99"


def _command(arguments: list[str]) -> int:
    parser = Parser("grade", "Grades.", ("--to x",))
    parser.add_argument("--input", nargs="+")
    parser.add_argument("--to", required=True, choices=["x"])
    parser.parse_args(arguments)
    return 0


@pytest.mark.parametrize("arguments", [
    ("--input", STUDY, STUDY), (f"--input={STUDY}",), ("--to", "x", "more", STUDY), ("--to", STUDY),
    ("--to", "x", f"--inputs={STUDY} 77"), ("--to", STUDY.replace("dicomweb", "DICOMweb")),
])  # fmt: skip
def test_a_message_about_arguments_shows_no_uid_of_a_study(arguments, capsys):
    line = error_line(capsys, _command, *arguments)
    assert "1.2.840" not in line and "77" not in line and "dicomweb:..." in line


@pytest.mark.parametrize("address", [
    "mlflow:https://me:secret@host/path", "https://me:secret@host/path?token=secret",
    "me:secret@host/path", "mlflow:me:secret@host/path", "https://me:a/secret@host/path",
])  # fmt: skip
@pytest.mark.parametrize("before", [("--to",), ("--to", "x", "more")])
def test_a_message_about_arguments_shows_an_address_without_its_password(address, before, capsys):
    line = error_line(capsys, _command, *before, address)
    assert "secret" not in line and "me:" not in line and "host/path" in line


def test_a_message_about_arguments_shows_other_words_as_they_were_typed(capsys):
    line = error_line(capsys, _command, "--input", "a b.nii.gz", "C:/data", "x@y", "--too", "x")
    assert "a b.nii.gz C:/data x@y --too x" in line


def test_a_tracker_is_shown_without_a_password_that_holds_a_question_mark():
    assert shown("https://me:what?secret@host") == "mlflow:https://..."
    assert shown("me:secret@host") == "mlflow:...@host"
