"""Memory and open files of the page over many uploads and answers: flat, or not (Linux only).

    python benchmarks/page_load.py --models saved_models --model sax_levels --file slice.png

Starts the page on a free port. A study is one file: it is uploaded, answered, its volumes are fetched
and it is deleted. Beside every study one upload is broken off in the middle. Prints a row for each tenth
of the studies: memory (MB) and open files of the process that serves and of the one that answers, files
in the folder of uploads, and seconds a study. Ends with exit code 1 where one of the processes grew by
more than GROWTH after the first fifth, or has more than FEW open files more at the end than then, or
where a file is left.

With --server the answers come from a server of these models by REST; without, they are loaded.
"""

import argparse
import contextlib
import http.client
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

GROWTH = 1.05  # of the memory after the first fifth
GZIP = b"\x1f\x8b"  # with which every volume begins
FEW = 3  # open files that come and go: connections that are being closed
COLUMNS = ("studies", "page, MB", "page, files open", "answering, MB", "answering, files open",
           "files left", "s a study (median)")  # fmt: skip


def main() -> int:
    """Runs the studies; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--models", type=Path, required=True, help="folder of exported models")
    parser.add_argument("--model", required=True, help="a model in it")
    parser.add_argument("--file", type=Path, required=True, help="a file that it answers for")
    parser.add_argument("--studies", type=int, default=500)
    parser.add_argument("--server", default="", help="ask this server")
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        server = ["--server", flags.server] if flags.server else []
        process = subprocess.Popen(
            [sys.executable, "-m", "mri_tf.page", "--models", str(flags.models), "--page-port", "0",
             "--process-studies", str(flags.studies + 1), *server],  # one process for all of them
            stdout=subprocess.PIPE, text=True, env=os.environ | {"TMPDIR": scratch},
        )  # fmt: skip
        try:
            port = int(re.search(r":(\d+)/", process.stdout.readline())[1])
            return run(flags, process.pid, port, Path(scratch))
        finally:
            process.terminate()
            process.wait(60)


def run(flags, pid: int, port: int, scratch: Path) -> int:
    """Prints the table; returns the exit code."""
    size = flags.file.stat().st_size
    print(f"{flags.studies} studies of {flags.file.name} ({size} bytes), {flags.model}")
    print(f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|")
    tab, content, seconds, rows = _Tab(port), flags.file.read_bytes(), [], []
    step = max(1, flags.studies // 10)
    for number in range(1, flags.studies + 1):
        begun = time.perf_counter()
        study(tab, flags.model, flags.file.name, content)
        seconds.append(time.perf_counter() - begun)
        if number % step == 0:
            _wait_for_broken(scratch)
            (worker,) = children_of(pid)
            row = (*used_by(pid), *used_by(worker), _files(scratch))
            rows.append(row)
            median = statistics.median(seconds[-step:])
            print(f"| {number} | {' | '.join(map(str, row))} | {median:.3f} |", flush=True)
    begin, end = rows[len(rows) // 5], rows[-1]
    flat = all(end[place] <= GROWTH * begin[place] for place in (0, 2))
    flat = flat and all(end[place] <= begin[place] + FEW for place in (1, 3)) and not end[4]
    print("flat" if flat else "not flat")
    return 0 if flat else 1


def study(tab: "_Tab", model: str, name: str, content: bytes) -> None:
    """One study from its upload to its deletion."""
    study_id = tab.ask("POST", "/api/studies", {"model": model})["study"]
    base = f"/api/studies/{study_id}"
    tab.break_off(f"{base}/files?path=broken.png", content)
    tab.ask("PUT", f"{base}/files?path={quote(name)}", content)
    while True:  # the broken upload may still be on its way
        with contextlib.suppress(_Refused):
            tab.ask("POST", f"{base}/run", b"")
            break
        time.sleep(0.01)
    while (found := tab.ask("GET", base))["state"] not in ("done", "failed"):
        time.sleep(0.01)
    assert found["state"] == "done", found["sentence"]
    for case in found["cases"]:
        for kind in ("image", "map", "labels"):
            if case[kind]:
                assert tab.ask("GET", case[kind]["url"]).startswith(GZIP)
    tab.ask("DELETE", base)


class _Refused(Exception):
    pass


class _Tab:
    """A tab: a session and one connection."""

    def __init__(self, port: int):
        self._port, self._headers = port, {}
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self._headers["x-session"] = self.ask("POST", "/api/session", b"")["session"]

    def ask(self, method: str, path: str, body: dict | bytes | None = None):
        """The answer's JSON values, or its bytes."""
        headers = dict(self._headers)
        if isinstance(body, dict):
            body, headers["content-type"] = json.dumps(body).encode(), "application/json"
        self._connection.request(method, path, body, headers)
        answer = self._connection.getresponse()
        data = answer.read()
        if answer.status >= 400:
            raise _Refused(data.decode())
        return json.loads(data) if "json" in (answer.headers["content-type"] or "") else data

    def break_off(self, path: str, content: bytes) -> None:
        """Begins an upload and closes its connection."""
        head = (f"PUT {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nx-session: {self._headers['x-session']}\r\n"
                f"content-length: {len(content) + 1}\r\n\r\n")  # fmt: skip
        with socket.create_connection(("127.0.0.1", self._port)) as connection:
            connection.sendall(head.encode() + content)


def children_of(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def used_by(pid: int) -> tuple[int, int]:
    """(MB in memory, open files) of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") >> 20, len(os.listdir(f"/proc/{pid}/fd"))


def _wait_for_broken(folder: Path) -> None:
    """Until the last upload that was broken off is noticed."""
    end = time.monotonic() + 10
    while _files(folder) and time.monotonic() < end:
        time.sleep(0.05)


def _files(folder: Path) -> int:
    """Files in the folder of uploads, without its lock."""
    return sum(path.is_file() and path.name != "lock" for path in folder.rglob("*"))


if __name__ == "__main__":
    sys.exit(main())
