"""Inputs fetched from a DICOMweb server: the same answers as from files, and what can go wrong."""

import io
import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from dicom_answered import explains_brightness
from dicom_kinds import bright_ellipsoid, turned
from dicom_series import series, write
from dicomweb import BOUNDARY, HEADERS, STUDY, answering, multipart, send, sends, study_of
from made_up import predicted_to, run_predict
from waiting import until

from data_prep.layouts import volumes_with_types
from mri_tf.core.errors import InputError, RunFailed
from mri_tf.dicom import web
from mri_tf.dicom.multipart import Cut, parts_of
from mri_tf.dicom.web import Limits, fetch, parse_address


@pytest.fixture(scope="module")
def scan(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("web") / "scan"
    write(folder, series(bright_ellipsoid(), turned()))
    return folder


@pytest.fixture(scope="module")
def files(scan) -> list[bytes]:
    return [path.read_bytes() for path in sorted(scan.iterdir())]


@pytest.fixture
def temporary(tmp_path, monkeypatch) -> Path:
    """Where temporary folders are made in this test."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def model(asked):
    asked(explains_brightness(), volumes_with_types)


@pytest.mark.parametrize("counted", [True, False])
def test_a_study_by_dicomweb_gives_the_answers_of_its_files(
    model, scan, files, temporary, tmp_path, capsys, counted
):
    local = predicted_to(tmp_path / "local.json", "--input", scan)
    with answering(sends(files, counted)) as server:
        fetched = predicted_to(tmp_path / "fetched.json", "--input", study_of(server))
        of_series = predicted_to(tmp_path / "series.json", "--input", study_of(server, "1.2.3"))
    assert [row.pop("input") for row in fetched["answers"]] == ["study-1/series-01"]
    assert [row.pop("input") for row in of_series["answers"]] == ["series-1"]
    for row in local["answers"]:
        del row["input"]
    assert local["answers"] == fetched["answers"] == of_series["answers"]
    assert not any(temporary.iterdir())
    assert STUDY not in "".join(capsys.readouterr())


def test_what_is_fetched_can_be_read_by_the_user_alone_and_gives_objects(
    model, files, temporary, tmp_path, monkeypatch
):
    modes = []
    monkeypatch.setattr(
        web, "read_identities",
        lambda path, keywords: modes.append(path.parent.parent.stat().st_mode & 0o777) or {},
    )  # fmt: skip
    flags = ("--dicom-out", tmp_path / "objects")
    with answering(sends(files)) as server:
        predicted_to(tmp_path / "x.json", "--input", study_of(server), *flags)
    assert set(modes) == {0o700}
    assert [path.name for path in (tmp_path / "objects").iterdir()] == ["study-1_series-01_report.dcm"]


def test_the_token_goes_to_the_server_alone(model, files, temporary, tmp_path, monkeypatch, capsys):
    secret = tmp_path / "token"
    secret.write_text("abc.def\n")
    with answering(sends(files)) as other:
        def redirects(handler):
            handler.send_response(302)
            handler.send_header("Location", study_of(other).removeprefix("dicomweb:"))
            handler.send_header("Content-Length", "0")
            handler.end_headers()

        with answering(redirects) as server:
            flags = ("--input", study_of(server), "--dicomweb-token-file", secret)
            assert run_predict(*flags) == 2
            assert server.asked[0][1]["Authorization"] == "Bearer abc.def"
        assert not other.asked
        assert "redirects to another address, which is not followed" in capsys.readouterr().err
        monkeypatch.setenv("MRI_TF_DICOMWEB_TOKEN", "of-the-environment")
        monkeypatch.setenv("MRI_TF_TOKEN", "of-the-model-server")
        assert run_predict("--input", study_of(other)) == 0
        sent = {headers.get("Authorization") for _, headers in other.asked}
        assert sent == {"Bearer of-the-environment"}


REFUSALS = {
    401: (2, "asks for a token"), 403: (2, "asks for a token"), 404: (2, "has no such study"),
    400: (2, "refused the request"), 503: (3, "failed with 503"), 429: (3, "failed with 429"),
}  # fmt: skip


@pytest.mark.parametrize("code", REFUSALS)
def test_a_refusal_is_said_in_one_line_without_the_uid(model, temporary, capsys, code):
    exit_code, words = REFUSALS[code]
    with answering(lambda handler: send(handler, STUDY.encode(), "text/plain", code)) as server:
        assert run_predict("--input", study_of(server)) == exit_code
    printed = capsys.readouterr().err
    assert words in printed and STUDY not in printed and not any(temporary.iterdir())


@pytest.mark.parametrize(
    "kind, body",
    [("text/html", b"<html>"), (HEADERS + BOUNDARY, multipart([b"<html>" * 50])),
     ("multipart/related", b""), (HEADERS + BOUNDARY, b"\r\n--part\r\n" + b"x" * 40_000)],
)  # fmt: skip
def test_a_server_of_another_kind_is_told_from_dicomweb(model, temporary, capsys, kind, body):
    with answering(lambda handler: send(handler, body, kind)) as server:
        assert run_predict("--input", study_of(server)) == 2
    assert "does not answer as a DICOMweb server does" in capsys.readouterr().err
    assert not any(temporary.iterdir())


@pytest.mark.parametrize("share", [0.05, 0.5, 0.999])
def test_a_connection_cut_in_the_middle_is_a_failure_and_leaves_nothing(
    model, files, temporary, capsys, share
):
    body = multipart(files)

    def cuts(handler):
        send(handler, body[: int(share * len(body))], length=len(body))
        handler.close_connection = True

    with answering(cuts) as server:
        assert run_predict("--input", study_of(server)) == 3
    assert "before the study was complete" in capsys.readouterr().err
    assert not any(temporary.iterdir())


def test_fewer_files_than_the_server_counted_are_a_failure(files, tmp_path):
    def answer(handler):
        if handler.path.endswith("/instances"):
            return send(handler, b"[" + b",".join([b"{}"] * 40) + b"]", "application/dicom+json")
        return send(handler, multipart(files))

    with answering(answer) as server, pytest.raises(RunFailed, match=f"sent {len(files)} of 40 files"):
        fetch(parse_address(study_of(server)), tmp_path / "x")


def test_a_server_that_does_not_answer_is_a_failure(model, temporary, capsys):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"dicomweb:http://127.0.0.1:{unused.getsockname()[1]}/studies/{STUDY}"
        assert run_predict("--input", address) == 3
    assert "does not answer" in capsys.readouterr().err


def test_a_server_that_falls_silent_is_left(tmp_path, files):
    def stalls(handler):
        send(handler, multipart(files)[:5000], length=10**6)
        until(lambda: handler.server.asked[-1][0] == "/done", 5)

    with answering(stalls) as server:
        with pytest.raises(RunFailed, match="TimeoutError"):
            fetch(parse_address(study_of(server)), tmp_path / "x", timeout_s=0.5)
        server.asked.append(("/done", {}))


def test_more_than_the_limits_is_refused_before_it_fills_the_disk(files, tmp_path):
    with answering(sends(files, count=False)) as server:
        address = parse_address(study_of(server))
        with pytest.raises(InputError, match="At most 3 files"):
            fetch(address, tmp_path / "a", limits=Limits(files=3))
        with pytest.raises(InputError, match="GB are fetched"):
            fetch(address, tmp_path / "b", limits=Limits(bytes=3000))
    assert len(list((tmp_path / "a").iterdir())) == 3
    assert sum(path.stat().st_size for path in (tmp_path / "b").iterdir()) <= 3000
    with answering(sends(files)) as server:
        with pytest.raises(InputError, match="At most 3 files"):
            fetch(parse_address(study_of(server)), tmp_path / "c", limits=Limits(files=3))
        assert len(server.asked) == 1  # the count was enough


def test_a_server_that_knows_only_its_default_transfer_syntax_is_asked_for_that(files, tmp_path):
    def answer(handler):
        if "transfer-syntax" in handler.headers["Accept"]:
            return send(handler, b"", "text/plain", 406)
        return sends(files)(handler)

    with answering(answer) as server:
        assert fetch(parse_address(study_of(server)), tmp_path / "x") == len(files)


def test_an_address_of_another_form_is_refused_at_once(capsys):
    for address in ("dicomweb:ftp://a/studies/1.2", "dicomweb:http://a/series/1", "dicomweb:1.2.3"):
        assert run_predict("--input", address) == 2
        assert "is not that of one study or one series" in capsys.readouterr().err
    assert run_predict("--input", "dicomweb:http://me:secret@a/studies/1.2") == 2
    printed = capsys.readouterr().err
    assert "must not contain a user name" in printed and "secret" not in printed


def test_parts_are_found_whatever_the_pieces_that_arrive():
    files = [b"a" * 100, b"", b"\r\n--par\r\n--pan", b"\r\n" * 9]
    body = b"a preamble" + multipart(files) + b"\r\nan epilogue"
    for size in (1, 2, 3, 7, 50, 1000):
        stream = io.BytesIO(body)
        read = parts_of(lambda _, stream=stream, size=size: stream.read(size), BOUNDARY.encode())
        assert [b"".join(pieces) for pieces in read] == files
    for end in (len(body) - 30, 40, 0):
        with pytest.raises(Cut):
            for pieces in parts_of(io.BytesIO(body[:end]).read, BOUNDARY.encode()):
                b"".join(pieces)


def test_a_terminated_process_leaves_nothing_of_the_study(scan, files, tmp_path):
    def stalls(handler):
        if handler.path.endswith("/instances"):
            return send(handler, b"", "text/plain", 404)
        send(handler, multipart(files)[:5000], length=10**6)
        until(lambda: handler.server.asked[-1][0] == "/done", 60)

    code = (
        "from pathlib import Path; from mri_tf.predict.dicom_in import fetched; import sys\n"
        "with fetched([sys.argv[1]], None, 60.0): pass"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with answering(stalls) as server:
        process = subprocess.Popen(
            [sys.executable, "-c", code, study_of(server)], env=environment, stderr=subprocess.DEVNULL
        )
        until(lambda: list(tmp_path.rglob("*.dcm")))
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) != 0
        server.asked.append(("/done", {}))
    assert not any(tmp_path.iterdir())


def test_the_address_is_asked_for_files_and_nothing_else(files, tmp_path):
    with answering(sends(files)) as server:
        fetch(parse_address(study_of(server)), tmp_path / "x", token="t")
        paths = [path for path, _ in server.asked]
    assert paths == [f"/dicom-web/studies/{STUDY}/instances", f"/dicom-web/studies/{STUDY}"]
