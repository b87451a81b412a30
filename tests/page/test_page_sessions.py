"""Sessions of the page: apart from each other, deleted at their end; and the process that answers."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from made_up_export import write_exports
from paged import Tab, page
from serving_models import running
from test_page_answers import png
from waiting import until

from mri_tf.core.system import try_lock
from mri_tf.page.limits import MB
from mri_tf.page.sessions import LOCK, PREFIX, Sessions, remove_left_over


def _files(server) -> list[Path]:
    """What lies in the folder of uploads, beside its lock."""
    return [path for path in server.sessions.folder.rglob("*") if path.name != LOCK]


def test_two_tabs_see_their_own_studies_alone(shared_page, tab):
    with contextlib.closing(Tab(shared_page)) as other:
        mine, theirs = tab.add("bright", {"a.png": png(9)}), other.add("bright", {"b.png": png(200)})
        assert tab.run(mine)["cases"][0]["rows"][0]["decision"] == "dark"
        found = other.run(theirs)
        assert found["cases"][0]["rows"][0]["decision"] == "light"
        for path in (f"/api/studies/{theirs}", found["cases"][0]["image"]["url"]):
            assert tab.http.get(path).status_code == 404
            assert other.http.get(path).status_code == 200
        assert tab.http.delete(f"/api/studies/{theirs}").status_code == 404
        assert other.http.get(found["cases"][0]["map"]["url"]).status_code == 200


def test_nothing_is_left_when_a_tab_closes_or_deletes_a_study(shared_page, tab):
    until(lambda: not [path for path in _files(shared_page) if path.is_file()])
    other = Tab(shared_page)
    study = other.add("bright", {"secret-name/a.png": png(9)})
    other.run(study)
    assert any(path.name == "a.png" for path in _files(shared_page))
    assert any(path.name == "c1_map.nii.gz" for path in _files(shared_page))
    other.http.delete(f"/api/studies/{study}")
    until(lambda: not [path for path in _files(shared_page) if path.is_file()])
    other.run(other.add("bright", {"a.png": png(9)}))
    token = other.token
    other.close()
    until(lambda: not [path for path in _files(shared_page) if path.is_file()])
    answer = tab.http.get("/api/models", headers={"x-session": token})
    assert answer.status_code == 404 and "has ended" in answer.json()["error"]


@pytest.mark.slow
def test_a_study_at_work_is_cancelled_and_the_next_one_is_answered(shared_page, tab):
    slow = tab.add("slow", {"a.png": png(9)})
    tab.http.post(f"/api/studies/{slow}/run")
    tab.wait(slow, "answering")
    process = shared_page.jobs.pid
    waiting = tab.add("bright", {"b.png": png(9)})
    tab.http.post(f"/api/studies/{waiting}/run")
    assert tab.http.get(f"/api/studies/{waiting}").json()["state"] == "queued"
    assert tab.http.delete(f"/api/studies/{slow}").status_code == 204
    assert not Path(f"/proc/{process}").exists() or shared_page.jobs.pid != process
    assert tab.wait(waiting)["state"] == "done"
    assert shared_page.jobs.pid != process


def test_a_silent_tab_is_closed_and_a_heard_one_is_not(exports, tmp_path):
    with page(exports, tmp_path, silence_s=1.5) as server:
        silent, heard = Tab(server), Tab(server)
        for one in (silent, heard):
            one.add("bright", {"a.png": png(9)})
        end = time.monotonic() + 4
        while time.monotonic() < end:
            assert heard.http.post("/api/session/alive").status_code == 204
            time.sleep(0.2)
        assert silent.http.post("/api/session/alive").status_code == 404
        assert len([path for path in _files(server) if path.name == "a.png"]) == 1
    assert not [*tmp_path.iterdir()]  # a stop removes the folder itself


def test_what_a_killed_page_left_is_removed_and_what_a_running_one_uses_is_not(tmp_path):
    left, used, other = (tmp_path / f"{PREFIX}{name}" for name in ("left", "used", "none"))
    for folder in (left, used):
        folder.mkdir()
        (folder / LOCK).touch()
        (folder / "image.png").touch()
    other.symlink_to(used)
    with (used / LOCK).open("r+b") as lock:
        assert try_lock(lock)
        remove_left_over(tmp_path)
        assert not left.exists() and (used / "image.png").exists() and other.is_symlink()


def test_guesses_of_a_token_are_not_compared_with_it(tmp_path):
    from mri_tf.page.limits import Limits
    from mri_tf.page.refused import Refused

    sessions = Sessions(Limits(), parent=tmp_path)
    token = sessions.create()
    assert len(token) >= 43  # 256 bits
    assert token not in repr(list(sessions._sessions))
    sessions.get(token)
    for guess in (token[:-1], token + "x", token.lower()):
        with pytest.raises(Refused):
            sessions.get(guess)


@pytest.mark.slow
def test_a_case_that_takes_too_long_or_too_much_memory_ends_with_a_sentence(exports, tmp_path):
    import gzip
    import struct

    with page(exports, tmp_path, case_s=25.0) as server:
        tab = Tab(server)
        found = tab.run(tab.add("slow", {"a.png": png(9)}))
        assert found["state"] == "failed" and "longer than 25 s" in found["sentence"]
        assert tab.run(tab.add("bright", {"a.png": png(9)}))["state"] == "done"
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, 900, 900, 900, 1, 1, 1, 1)
    struct.pack_into("<hh", header, 70, 2, 8)  # uint8
    struct.pack_into("<8f", header, 76, 1, 1, 1, 1, 0, 0, 0, 0)
    struct.pack_into("<f", header, 108, 352)
    struct.pack_into("<hh", header, 252, 0, 1)
    struct.pack_into("<12f", header, 280, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0)
    header[344:348] = b"n+1\0"
    bomb = gzip.compress(bytes(header) + bytes(900**3), 9)
    assert len(bomb) < 2 * MB
    with page(exports, tmp_path, worker_bytes=1400 * MB) as server:
        tab = Tab(server)
        until(lambda: server.jobs.pid)
        process = server.jobs.pid
        found = tab.run(tab.add("bright3d", {"t1.nii.gz": bomb}))
        assert found["state"] == "failed" and "1400 MB of memory" in found["sentence"]
        assert not Path(f"/proc/{process}").exists()
        assert tab.run(tab.add("bright", {"a.png": png(9)}))["state"] == "done"


@pytest.mark.slow
def test_a_served_model_gives_the_answers_of_one_that_is_loaded(exports, shared_page, tmp_path):
    from mri_tf.page.jobs import Asked

    files = {"p/a.png": png(30), "p/b.png": png(200)}
    with running(exports) as server:
        address = f"http://127.0.0.1:{server.rest_port}"
        with page(exports, tmp_path, {"asked": Asked(server=address)}) as served:
            tabs = [Tab(served), Tab(shared_page)]
            found = [tab.run(tab.add("bright", files)) for tab in tabs]
    for asked, loaded in zip(found[0]["cases"], found[1]["cases"], strict=True):
        (first,), (second,) = asked["rows"], loaded["rows"]
        numbers = [row.pop("probabilities") for row in (first, second)]
        assert numbers[0] == pytest.approx(numbers[1], rel=1e-6)  # JSON rounds to a float32's digits
        assert first == second and asked["map"] and first["decision"] in ("dark", "light")


def _serve(models: Path, *flags: str) -> tuple[subprocess.Popen, int]:
    """The server with its page, in a process of its own, and the port of the page."""
    process = subprocess.Popen(
        [sys.executable, "-m", "mri_tf.serve", "--models", str(models), "--rest-port", "0",
         "--grpc-port", "0", "--page", "--page-port", "0", *flags],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"TMPDIR": str(models.parent / "tmp")},
    )  # fmt: skip
    lines = [process.stdout.readline() for _ in range(2)]
    (port,) = re.findall(r"page http://127.0.0.1:(\d+)/", "".join(lines))
    assert "REST http" in "".join(lines)
    return process, int(port)


@pytest.mark.slow
def test_serve_starts_the_page_and_stops_with_it(tmp_path):
    models = write_exports(tmp_path / "models", "bright")
    (tmp_path / "tmp").mkdir()
    process, port = _serve(models, "--keep", str(tmp_path / "kept"))
    http = httpx.Client(base_url=f"http://127.0.0.1:{port}")
    assert http.get("/api/about").json()["keep"]
    session = http.post("/api/session").json()["session"]
    assert [*(tmp_path / "tmp").glob(f"{PREFIX}*/*")]
    assert session
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0 and "Traceback" not in err and "is deleted" in out
    assert not [*(tmp_path / "tmp").glob(f"{PREFIX}*")]

    process, port = _serve(models)
    (own,) = re.findall(r"\d+", Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text())[:1]
    os.kill(int(own), signal.SIGKILL)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 3 and "The page has ended" in err and "Traceback" not in err
    assert [*(tmp_path / "tmp").glob(f"{PREFIX}*")]  # of the killed one

    process, port = _serve(models)
    assert len([*(tmp_path / "tmp").glob(f"{PREFIX}*")]) == 1  # the next one removes it
    process.kill()  # and a page whose server was killed ends by itself
    process.communicate(timeout=60)
    until(lambda: not [*(tmp_path / "tmp").glob(f"{PREFIX}*")])


@pytest.mark.slow
def test_a_port_of_the_page_that_is_taken_stops_the_server_too(exports, shared_page):
    command = [sys.executable, "-m", "mri_tf.serve", "--models", str(exports), "--rest-port", "0",
               "--grpc-port", "0", "--page", "--page-port", str(shared_page.port)]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 3 and "Traceback" not in done.stderr
    assert "Cannot listen at this address" in done.stderr and "The page has ended" in done.stderr
