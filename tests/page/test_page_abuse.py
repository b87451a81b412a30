"""Harmful and broken requests to the page: each gets its code and a sentence, and the page goes on."""

import contextlib
import errno
import io
import json
import os
import socket
import stat
import struct
import time
import zipfile

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from paged import Tab, page
from waiting import until

from mri_tf.page import uploads
from mri_tf.page.jobs import Jobs
from mri_tf.page.limits import MB
from mri_tf.page.refused import Refused
from mri_tf.page.upload_paths import upload_path

JSON = {"content-type": "application/json"}
SMALL = dict(
    file_bytes=2 * MB, study_bytes=5 * MB, total_bytes=8 * MB, files=5, sessions=3, studies=4, uploads=2,
    waiting=1, json_bytes=4000, stall_s=0.4, least_bytes_s=1000.0, ratio_from=MB, unpacked_ratio=20,
)  # fmt: skip


@pytest.fixture(scope="module")
def small_page(exports, tmp_path_factory):
    """A page with small limits, whose process that answers is not started: nothing here is answered."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Jobs, "_start", no_process)
        with page(exports, tmp_path_factory.mktemp("small"), **SMALL) as server:
            yield server


async def no_process(self):
    """Starts none."""


@pytest.fixture
def tab(small_page):
    """A tab; afterwards the page still serves, and nothing of an upload is left on its way."""
    with contextlib.closing(Tab(small_page)) as found:
        yield found
        assert found.http.get("/api/about").status_code == 200
        until(lambda: not _partial(small_page))


def _partial(server) -> list:
    return [*server.sessions.folder.glob("*/*/partial/*")]


def _refused(answer: httpx.Response, code: int) -> str:
    """The sentence of a refusal."""
    assert answer.status_code == code, answer.text
    assert list(answer.json()) == ["error"]
    sentence = answer.json()["error"]
    assert "Received: " in sentence and "Traceback" not in sentence and "/tmp" not in sentence
    return sentence


def _zip(entries: dict[str, bytes], method=zipfile.ZIP_DEFLATED) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", method) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return data.getvalue()


@pytest.mark.parametrize(
    "path",
    ["", "/etc/passwd", "../a.png", "a/../../b.png", "a//b.png", "./a.png", "a/.", "C:/a", "C:a.png",
     "a\\..\\b.png", "\\\\host\\share", "a\x00b.png", "a\nb.png", "nul", "con.txt", "a/LPT1.nii",
     "a.png.", " a.png",
     "a.png ", "a/" * 40 + "b.png", "x" * 300, "a*b", "a|b", "\u202egnp.exe", "~/../a", "..",
     "a:stream"],
)  # fmt: skip
def test_a_path_that_is_a_trick_is_400(tab, path):
    _refused(tab.put(tab.add("bright", {}), path, b"x"), 400)


def test_a_path_that_is_no_text_is_400(tab):
    study = tab.add("bright", {})
    answer = tab.http.put(f"/api/studies/{study}/files?path=%ff%fe.png", content=b"x")
    assert answer.status_code in (204, 400)  # its bytes become a replacement, or are refused


@settings(max_examples=300, deadline=None, database=None)
@given(text=st.text(st.characters(codec="utf-8"), max_size=40) | st.from_regex(r"[./\\:a~]{1,12}"))
def test_a_path_that_is_taken_stays_below_its_folder(text):
    with contextlib.suppress(Refused):
        parts = upload_path(text)
        assert "/".join(parts) == text
        home = os.path.normpath("/srv/home")
        joined = os.path.normpath(os.path.join(home, *parts))
        assert joined.startswith(home + os.sep) and not {"", ".", ".."} & set(parts)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"1", b"\xff\xfe", b'{"a": NaN', b"[" * 3000])
def test_a_body_that_is_no_json_object_is_400(tab, body):
    _refused(tab.http.post("/api/studies", content=body, headers=JSON), 400)


@pytest.mark.parametrize(
    "values",
    [{}, {"model": 3}, {"model": "../bright"}, {"model": "."}, {"model": "none"}, {"model": ["bright"]},
     {"model": "bright", "reading": "yes"}, {"model": "bright", "reading": True, "reader": 3},
     {"model": "bright", "reading": True, "reader": "a\nb"}, {"model": "spots", "reading": True}],
)  # fmt: skip
def test_a_study_of_wrong_values_is_400(tab, values):
    _refused(tab.http.post("/api/studies", json=values), 400)


def test_a_study_without_files_and_a_file_twice_are_400(tab):
    study = tab.add("bright", {})
    _refused(tab.http.post(f"/api/studies/{study}/run"), 400)
    assert tab.put(study, "a/b.png", b"x").status_code == 204
    _refused(tab.put(study, "a/b.png", b"y"), 400)
    _refused(tab.put(study, "a/b.png/c.png", b"y"), 400)
    _refused(tab.put(study, "a", b"y"), 400)


def test_without_the_token_it_is_401_and_no_address_but_two_is_open(exports, tmp_path, monkeypatch):
    monkeypatch.setattr(Jobs, "_start", no_process)
    with page(exports, tmp_path, {"token": "right"}, **SMALL) as server:
        http = httpx.Client(base_url=f"http://127.0.0.1:{server.port}")
        assert http.get("/api/about").json()["needs_token"]
        asked = (("GET", "/api/models"), ("POST", "/api/session"), ("GET", "/api/nothing"),
                 ("GET", "/api/models/bright/card"))  # fmt: skip
        for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": "Basic right"},
                        {"authorization": "Bearer"}, {"authorization": "Bearer rightt"}):  # fmt: skip
            for method, path in asked:
                answer = http.request(method, path, headers=headers)
                _refused(answer, 401)
                assert answer.headers["www-authenticate"] == "Bearer"
        assert http.post("/api/session/close", content="guess").status_code == 204
        assert http.get("/api/models/bright/card?session=guess").status_code == 404
        tab = Tab(server, authorization="Bearer right")
        assert tab.http.get("/api/models").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [{"host": "evil.example"}, {"host": "evil.example:80"}, {"host": "127.0.0.1.evil.example"},
     {"host": "10.0.0.1"}, {"host": ""}, {"host": "[::2]"}, {"origin": "http://evil.example"},
     {"origin": "null"}, {"origin": "http://127.0.0.1:1"}, {"sec-fetch-site": "cross-site"},
     {"sec-fetch-site": "same-site"}],
)  # fmt: skip
def test_another_site_or_another_name_of_this_machine_is_403(tab, headers):
    _refused(tab.http.get("/api/models", headers=headers), 403)
    if "sec-fetch-site" not in headers:
        _refused(tab.http.get("/", headers=headers), 403)


def test_this_machine_s_own_names_are_let_in(tab):
    for host in ("localhost", "127.0.0.1:99", "[::1]:8502", "127.3.4.5"):
        assert tab.http.get("/api/models", headers={"host": host}).status_code == 200


def test_what_is_not_there_is_404_and_so_is_what_belongs_to_another_tab(tab, small_page):
    study = tab.add("bright", {"a.png": b"x"})
    with contextlib.closing(Tab(small_page)) as other:
        unknown = "/api/studies/0123456789abcdef"
        theirs = f"/api/studies/{study}"
        for method, end, values in (
            ("GET", "", {}), ("DELETE", "", {}), ("POST", "/run", {}), ("POST", "/keep", {}),
            ("PUT", "/files?path=b.png", {"content": b"x"}), ("GET", "/cases/c1/image.nii.gz", {}),
            ("PUT", "/cases/c1/reading", {"json": {"label": "dark", "seconds": 1}}),
        ):  # fmt: skip
            answers = [other.http.request(method, base + end, **values) for base in (theirs, unknown)]
            assert {_refused(answer, 404) for answer in answers} and answers[0].text == answers[1].text
        for path in ("/api/readings.csv?study=",):
            assert other.http.get(path + study).text == other.http.get(path + "0123456789abcdef").text
        answer = other.http.post(f"/api/agreement?study={study}", json={})
        _refused(answer, 404)
    assert tab.http.get(theirs).json()["state"] == "uploading"
    for path in ("/api/nothing", "/static/../app.py", "/static/%2e%2e/app.py", "/api/studies/..%2f..",
                 "/x", "/api/models/%2e%2e/card", "/static//etc/passwd"):  # fmt: skip
        _refused(tab.http.get(path), 404)


@pytest.mark.parametrize("token", [None, "", "guess", "x" * 3000])
def test_an_unknown_session_is_404(tab, token):
    headers = {} if token is None else {"x-session": token}
    with httpx.Client(base_url=tab.http.base_url) as http:
        _refused(http.get("/api/models", headers=headers), 404)


def test_another_method_is_405_and_says_which(tab):
    answer = tab.http.delete("/api/models")
    _refused(answer, 405)
    assert answer.headers["allow"] == "GET"
    _refused(tab.http.post("/"), 405)


def _send(server, tab, head: str, *pieces: bytes, wait: float = 0.0) -> bytes:
    """What the page answers to a request that is sent in pieces."""
    text = (f"{head} HTTP/1.1\r\nhost: 127.0.0.1\r\nx-session: {tab.token}\r\n"
            "content-type: application/json\r\ncontent-length: 100000\r\n\r\n")  # fmt: skip
    if "/files" in head:
        text = text.replace("application/json", "application/octet-stream")
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(text.encode())
        with contextlib.suppress(OSError):
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(wait)
        return connection.recv(2000)


def test_a_body_that_stops_or_drips_is_408(small_page, tab):
    study = tab.add("bright", {})
    files = f"PUT /api/studies/{study}/files?path=a.png"
    assert b" 408 " in _send(small_page, tab, files, b"x")
    assert b" 408 " in _send(small_page, tab, files, *[b"x"] * 20, wait=0.1)
    assert b" 408 " in _send(small_page, tab, "POST /api/studies", b"{")
    assert tab.put(study, "a.png", b"x").status_code == 204


def test_an_upload_that_is_cancelled_leaves_nothing(small_page, tab):
    study = tab.add("bright", {})
    head = (f"PUT /api/studies/{study}/files?path=a.png HTTP/1.1\r\nhost: 127.0.0.1\r\n"
            f"x-session: {tab.token}\r\ncontent-length: 100000\r\n\r\n")  # fmt: skip
    with socket.create_connection(("127.0.0.1", small_page.port)) as connection:
        connection.sendall(head.encode() + b"x" * 20_000)
        until(lambda: _partial(small_page))
    until(lambda: not _partial(small_page))
    (found,) = (one for one in small_page.sessions._sessions.values() if study in one.studies)
    assert (found.studies[study].files, found.studies[study].size) == (0, 0)
    assert not [*found.studies[study].inputs.iterdir()]


def test_too_much_is_413(tab):
    study = tab.add("bright", {})
    _refused(tab.put(study, "a.png", b"x" * (2 * MB + 1)), 413)
    pieces = (b"x" * 100_000 for _ in range(30))  # without a length
    _refused(tab.put(study, "a.png", pieces), 413)
    for name in ("a", "b"):
        assert tab.put(study, name, bytes(2 * MB)).status_code == 204
    _refused(tab.put(study, "c", bytes(2 * MB)), 413)
    big = json.dumps({"model": "x" * 5000})
    _refused(tab.http.post("/api/studies", content=big, headers=JSON), 413)
    _refused(tab.http.post("/api/session/close", content="x" * 300), 413)
    assert tab.put(study, "c", b"x").status_code == 204


def test_another_kind_of_body_is_415(tab):
    study = tab.add("bright", {})
    _refused(tab.http.post("/api/studies", content="{}", headers={"content-type": "text/plain"}), 415)
    _refused(tab.put(study, "a", b"x", headers={"content-type": "multipart/form-data; boundary=x"}), 415)
    _refused(tab.put(study, "a", b"x", headers={"content-encoding": "gzip"}), 415)


def test_a_bomb_is_413_whatever_its_archive_says(tab):
    study = tab.add("bright", {})
    _refused(tab.put(study, "a.zip", _zip({"x": bytes(1_900_000), "y": bytes(1_900_000)})), 413)
    lying = bytearray(_zip({"x": bytes(1_900_000)}))
    for signature, place in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):  # claims 10 bytes
        struct.pack_into("<I", lying, lying.find(signature) + place, 10)
    assert tab.put(study, "b.zip", bytes(lying)).status_code in (413, 422)
    inner = _zip({f"{number}.zip": _zip({"x": bytes(900_000)}) for number in range(3)})
    assert tab.put(study, "c.zip", inner).status_code == 204  # archives inside stay files
    _refused(tab.put(study, "d.zip", _zip({str(number): b"" for number in range(9)})), 413)
    listed = bytearray(_zip({"x": b"1"}))
    struct.pack_into("<H", listed, listed.rfind(b"PK\x05\x06") + 10, 60_000)  # claims so many files
    _refused(tab.put(study, "e.zip", bytes(listed)), 413)


def _link() -> bytes:
    entry = zipfile.ZipInfo("link")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr(entry, "/etc/passwd")
    return data.getvalue()


@pytest.mark.parametrize(
    "name", ["../x", "/x", "a/../../x", "C:\\x", "a\\b", "a\x00b", "con", "x/", "a/./b", "x" * 300]
)
def test_an_archive_with_a_trick_is_400(tab, small_page, name):
    study = tab.add("bright", {})
    entry = zipfile.ZipInfo("placeholder")
    entry.filename = name
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr(entry, b"1")
    answer = tab.put(study, "a.zip", data.getvalue())
    _refused(answer, 422 if name == "x/" else 400)  # a folder that has content is no file
    assert not [*small_page.sessions.folder.glob("*/*/input/*")] or study


def test_an_archive_with_a_link_a_file_twice_or_a_folder_as_a_file_is_400(tab):
    study = tab.add("bright", {})
    _refused(tab.put(study, "a.zip", _link()), 400)
    with pytest.warns(UserWarning, match="Duplicate"):
        data = io.BytesIO()
        with zipfile.ZipFile(data, "w") as archive:
            archive.writestr("x", b"1")
            archive.writestr("x", b"2")
    _refused(tab.put(study, "a.zip", data.getvalue()), 400)
    _refused(tab.put(study, "a.zip", _zip({"x": b"1", "x/y": b"2"})), 400)


def test_an_archive_that_is_damaged_or_locked_is_422(tab):
    study, whole = tab.add("bright", {}), _zip({"x": os.urandom(3000)})
    for damaged in (whole[:-30], whole[:40] + bytes(100) + whole[140:], b"PK\x03\x04" + bytes(50)):
        _refused(tab.put(study, "a.zip", damaged), 422)
    locked = bytearray(whole)
    locked[locked.find(b"PK\x01\x02") + 8] |= 1
    assert "locked" in _refused(tab.put(study, "a.zip", bytes(locked)), 422)
    strange = bytearray(whole)
    struct.pack_into("<H", strange, strange.find(b"PK\x01\x02") + 10, 99)
    _refused(tab.put(study, "a.zip", bytes(strange)), 422)
    assert tab.put(study, "a.zip", b"no archive, only its name").status_code == 204


def test_too_many_is_429(small_page, tab):
    study = tab.add("bright", {str(number): b"" for number in range(5)})
    _refused(tab.put(study, "6", b""), 429)
    ids = [tab.add("bright", {"a": b"1"}) for _ in range(3)]
    _refused(tab.http.post("/api/studies", json={"model": "bright"}), 429)
    other = Tab(small_page)
    sessions = [other.http.post("/api/session") for _ in range(3)]
    _refused(sessions[-1], 429)
    for made in sessions[:-1]:
        if made.status_code == 201:
            other.http.post("/api/session/close", content=made.json()["session"])
    other.close()
    small_page.jobs._waiting.clear()
    small_page.sessions.get(tab.token).studies[ids[0]].state = "queued"
    _refused(tab.http.post(f"/api/studies/{ids[1]}/run"), 429)


def test_more_uploads_at_a_time_than_allowed_are_429(small_page, tab):
    study = tab.add("bright", {})
    head = (f"PUT /api/studies/{study}/files?path={{}} HTTP/1.1\r\nhost: 127.0.0.1\r\n"
            f"x-session: {tab.token}\r\ncontent-length: 1000\r\n\r\n")  # fmt: skip
    with contextlib.ExitStack() as stack:
        for name in "ab":
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", small_page.port)))
            connection.sendall(head.format(name).encode() + b"x")
        until(lambda: len(_partial(small_page)) == 2)
        _refused(tab.put(study, "c", b"x"), 429)


def test_no_space_is_507(small_page, tab, monkeypatch):
    studies = [tab.add("bright", {}) for _ in range(2)]
    for name in ("a", "b"):
        assert tab.put(studies[0], name, bytes(2 * MB)).status_code == 204
    assert tab.put(studies[1], "a", bytes(2 * MB)).status_code == 204
    assert tab.put(studies[1], "b", bytes(MB)).status_code == 204
    _refused(tab.put(studies[1], "c", bytes(2 * MB)), 507)  # all sessions together
    assert tab.http.delete(f"/api/studies/{studies[0]}").status_code == 204
    assert tab.put(studies[1], "c", bytes(MB)).status_code == 204

    def full(file, block):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(uploads, "_write_all", full)
        _refused(tab.put(studies[1], "d", b"x"), 507)
    assert tab.put(studies[1], "d", b"x").status_code == 204


def test_an_unexpected_error_says_nothing_of_what_it_was_about(tab, monkeypatch, capfd):
    def fails(file, block):
        raise ValueError("patient Smith, /tmp/secret")

    study = tab.add("bright", {})
    with monkeypatch.context() as patch:
        patch.setattr(uploads, "_write_all", fails)
        answer = tab.put(study, "a", b"x")
    assert answer.status_code == 500 and list(answer.json()) == ["error"]
    err = capfd.readouterr().err
    assert "ValueError" in answer.text + err and "Smith" not in answer.text + err


few = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), database=None)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@few
@given(body=st.fixed_dictionaries({}, optional={
    "model": json_values | st.just("bright"), "reading": json_values, "reader": json_values,
}))  # fmt: skip
def test_bodies_that_are_almost_right_are_answered(tab, body):
    answer = tab.http.post("/api/studies", content=json.dumps(body), headers=JSON)
    assert answer.status_code in (201, 400, 429)


def test_every_answer_forbids_all_but_the_page_itself(tab):
    for path in ("/", "/api/about", "/api/nothing", "/api/models"):
        headers = tab.http.get(path).headers
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'")
        assert "unsafe-inline" not in policy and "'unsafe-eval'" not in policy
        assert "frame-ancestors 'none'" in policy and headers["referrer-policy"] == "no-referrer"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == ("no-cache" if path == "/" else "no-store")
        assert "server" not in headers


def test_the_built_page_is_sent_once_and_then_only_when_it_changes(tab):
    for path, kind in (("/", "text/html; charset=utf-8"),
                       ("/static/page.js", "text/javascript; charset=utf-8"),
                       ("/static/page.css", "text/css; charset=utf-8")):  # fmt: skip
        first = tab.http.get(path)
        assert first.status_code == 200 and first.headers["content-type"] == kind
        again = tab.http.get(path, headers={"if-none-match": first.headers["etag"]})
        assert again.status_code == 304 and not again.content


def test_the_folder_of_uploads_is_for_this_user_alone(small_page, tab):
    tab.add("bright", {"P01/a.png": b"x"})
    assert stat.S_IMODE(small_page.sessions.folder.stat().st_mode) == 0o700
    (file,) = small_page.sessions.folder.glob("*/*/input/P01/a.png")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
