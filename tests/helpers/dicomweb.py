"""DICOMweb servers: a fake one that misbehaves as it is told, and Orthanc on this machine."""

import http.client
import json
import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

STUDY = "1.2.826.0.1.99"
BOUNDARY = "part"
STORED_FILES, FAILED_FILES = "00081199", "00081198"  # sequences in the answer of STOW-RS
HEADERS = 'multipart/related; type="application/dicom"; boundary='
PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
needs_orthanc = pytest.mark.skipif(
    not (shutil.which("Orthanc") and PLUGIN.exists()),
    reason="Orthanc is not installed (Debian: apt install orthanc orthanc-dicomweb)",
)


def multipart(files: list[bytes], boundary: str = BOUNDARY, end: bool = True) -> bytes:
    """A body of parts, as PS3.18 describes it."""
    body = b"".join(
        f"\r\n--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode() + data for data in files
    )
    return body + (f"\r\n--{boundary}--".encode() if end else b"")


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append((self.path, dict(self.headers)))
        self.server.answer(self)

    def log_message(self, *_):
        pass


@contextmanager
def answering(answer: Callable) -> Iterator[ThreadingHTTPServer]:
    """A server on loopback that answers every request by `answer(handler)`; `asked` holds requests."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.answer, server.asked = answer, []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()


def study_of(server, series: str = "") -> str:
    """The value of --input for the study of the fake server."""
    path = f"/series/{series}" if series else ""
    return f"dicomweb:http://127.0.0.1:{server.server_port}/dicom-web/studies/{STUDY}{path}"


def send(
    handler, body: bytes, kind: str = HEADERS + BOUNDARY, code: int = 200, length: int | None = None
) -> None:  # fmt: skip
    """Answers a request; `length` announces another number of bytes than are sent."""
    handler.send_response(code)
    handler.send_header("Content-Type", kind)
    handler.send_header("Content-Length", str(len(body) if length is None else length))
    handler.end_headers()
    handler.wfile.write(body)


def sends(files: list[bytes], count: bool = True) -> Callable:
    """An answer with the files, and with their number to who asks for it."""

    def answer(handler):
        if handler.path.endswith("/instances"):
            if not count:
                return send(handler, b"no", "text/plain", 404)
            return send(handler, json.dumps([{}] * len(files)).encode(), "application/dicom+json")
        return send(handler, multipart(files))

    return answer


class Orthanc:
    """A running Orthanc: `store` sends files to it, `get` asks for JSON."""

    def __init__(self, base: str):
        self.base = base
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def get(self, path: str):
        request = urllib.request.Request(self.base + path, headers={"Accept": "application/dicom+json"})
        with self._opener.open(request, timeout=30) as response:
            return json.loads(response.read() or b"[]")

    def store(self, files: list[Path]) -> int:
        """Stores files by STOW-RS; how many the server says it has stored."""
        body = multipart([file.read_bytes() for file in files]).lstrip(b"\r\n")
        request = urllib.request.Request(
            f"{self.base}/studies", body,
            {"Content-Type": HEADERS + BOUNDARY, "Accept": "application/dicom+json"},
        )  # fmt: skip
        with self._opener.open(request, timeout=120) as response:
            found = json.loads(response.read())
        assert not found.get(FAILED_FILES, {}).get("Value")
        return len(found[STORED_FILES]["Value"])


@contextmanager
def running_orthanc(home: Path) -> Iterator[Orthanc]:
    """Orthanc with DICOMweb on a free port of loopback, all its files in `home`."""
    ports = _free_ports(2)
    home.mkdir(parents=True)
    config = {
        "Name": "TEST", "StorageDirectory": str(home / "storage"),
        "IndexDirectory": str(home / "storage"), "HttpPort": ports[0], "DicomPort": ports[1],
        "DicomAet": "TEST", "RemoteAccessAllowed": False, "AuthenticationEnabled": False,
        "SslEnabled": False, "DicomServerEnabled": False,
        "Plugins": [str(PLUGIN)], "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }  # fmt: skip
    (home / "orthanc.json").write_text(json.dumps(config))
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(["Orthanc", home / "orthanc.json"], stdout=log, stderr=log)
    try:
        server = Orthanc(f"http://127.0.0.1:{ports[0]}/dicom-web")
        _wait_for(server, process, home / "log")
        yield server
    finally:
        process.terminate()
        process.wait(30)


def _wait_for(server: Orthanc, process, log: Path) -> None:
    end = time.monotonic() + 60
    while True:
        try:
            server.get("/studies")
            return
        except (urllib.error.URLError, http.client.HTTPException, ConnectionError):
            assert process.poll() is None and time.monotonic() < end, log.read_text()[-2000:]
            time.sleep(0.1)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()
