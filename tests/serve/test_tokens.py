"""Tokens that clients send, of a file or of an environment variable."""

import pytest
from refused import refusal

from mri_tf.serve.access import token_of

VARIABLE, FLAG = "MRI_TF_SOME_TOKEN", "--some-token-file"


def test_a_token_is_of_the_file_then_of_the_variable_without_line_ends(tmp_path, monkeypatch):
    assert token_of(None, VARIABLE, FLAG) == ""
    monkeypatch.setenv(VARIABLE, "of-the-variable\r")  # as a file with Windows line ends sets it
    assert token_of(None, VARIABLE, FLAG) == "of-the-variable"
    file = tmp_path / "token"
    file.write_bytes(b"of-the-file\r\n")
    assert token_of(file, VARIABLE, FLAG) == "of-the-file"


@pytest.mark.parametrize("text", ["two words", "two\rwords", "schl\u00fcssel", " ", "bell\x07"])
def test_a_text_that_no_header_may_hold_is_refused_unseen_by_the_name_of_where_it_is(
    text, tmp_path, monkeypatch
):
    monkeypatch.setenv(VARIABLE, text)
    said = refusal(token_of, None, VARIABLE, FLAG)
    assert said.startswith(VARIABLE) and FLAG not in said and "words" not in said
    monkeypatch.setenv(VARIABLE, "good")
    file = tmp_path / "token"
    file.write_text(text, encoding="utf-8")
    said = refusal(token_of, file, VARIABLE, FLAG)
    assert said.startswith(FLAG) and VARIABLE not in said and "words" not in said
