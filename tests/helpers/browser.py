"""A headless Chromium that tests ask about a page, over its debugging pipe."""

import contextlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--no-first-run",
         "--disable-background-networking", "--disable-dev-shm-usage")  # fmt: skip
SECONDS = 60


def browser_here() -> str | None:
    """The browser of this machine; None where there is none."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Page:
    """A tab. `requests` are the addresses that it asked for, `complaints` what the console says."""

    def __init__(self, to_browser, from_browser):
        self._to, self._from, self._number, self._session = to_browser, from_browser, 0, None
        self._loaded = False
        self.requests: list[str] = []
        self.complaints: list[str] = []

    def call(self, method: str, **values) -> dict:
        """The answer to a command of the DevTools protocol."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": values}
        if self._session:
            message["sessionId"] = self._session
        self._to.write(json.dumps(message).encode() + b"\0")
        self._to.flush()
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            answer = self._read()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer["error"]
                return answer["result"]
        raise TimeoutError(method)

    def open(self, file: Path, width: int) -> None:
        """Shows a file in a window of this width."""
        if not self._session:
            target = self.call("Target.createTarget", url="about:blank")["targetId"]
            attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
            self._session = attached["sessionId"]
            for domain in ("Page", "Network", "Log", "Runtime"):
                self.call(f"{domain}.enable")
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1,
                  mobile=False)  # fmt: skip
        self._loaded = False
        self.call("Page.navigate", url=file.absolute().as_uri())
        while not self._loaded:
            self._read()

    def ask(self, expression: str):
        """The value of a JavaScript expression."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def _read(self) -> dict:
        message = bytearray()
        while (byte := self._from.read(1)) != b"\0":
            assert byte, "the browser has ended"
            message += byte
        values = json.loads(message)
        told, method = values.get("params", {}), values.get("method")
        if method == "Network.requestWillBeSent":
            self.requests.append(told["request"]["url"])
        elif method == "Log.entryAdded":
            self.complaints.append(told["entry"]["text"])
        elif method in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown"):
            self.complaints.append(json.dumps(told)[:300])
        elif method == "Page.loadEventFired":
            self._loaded = True
        return values


@contextlib.contextmanager
def browser_page(folder: Path) -> Iterator[Page]:
    """A page of a browser that keeps its profile in the folder and ends with the block."""
    to_read, to_browser = os.pipe()
    from_browser, to_write = os.pipe()
    flags = " ".join((*FLAGS, f"--user-data-dir={folder}"))
    command = f'exec "{browser_here()}" {flags} 3<&{to_read} 4>&{to_write}'
    process = subprocess.Popen(
        ["bash", "-c", command], pass_fds=(to_read, to_write), stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(to_read)
    os.close(to_write)
    with open(to_browser, "wb") as writes, open(from_browser, "rb") as reads:
        try:
            yield Page(writes, reads)
        finally:
            process.terminate()
            process.wait()
