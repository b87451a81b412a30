"""A headless Chromium that tests and the scripts of docs/ ask about a page, through Playwright."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
    "--disable-gpu", "--enable-unsafe-swiftshader",  # so WebGL has no GPU, and pages wait for none
)  # fmt: skip
OF_DRIVER = "GL Driver Message"  # what the drawing without a GPU says of its speed
MOST_MS = 60_000  # that Playwright waits for something


def browser_here() -> str | None:
    """The browser of this machine; None where there is none."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Page:
    """A tab. `requests` are the addresses that it asked for, `complaints` what the console says.

    `tab` is Playwright's page, to click and type in.
    """

    def __init__(self, tab):
        self.tab = tab
        self.requests: list[str] = []
        self.complaints: list[str] = []
        tab.set_default_timeout(MOST_MS)
        tab.on("request", lambda request: self.requests.append(request.url))
        tab.on("pageerror", lambda error: self.complaints.append(str(error)))
        tab.on("console", lambda message: self._said(message.text))

    def open(self, page: Path | str, width: int, height: int = 900) -> None:
        """Shows a file or an address in a window of this size."""
        self.tab.set_viewport_size({"width": width, "height": height})
        self.tab.goto(page.absolute().as_uri() if isinstance(page, Path) else page)

    def ask(self, expression: str):
        """The value of a JavaScript expression."""
        return self.tab.evaluate(expression)

    def _said(self, text: str) -> None:
        if OF_DRIVER not in text:
            self.complaints.append(text)


@contextlib.contextmanager
def browser_page(folder: Path, dark: bool = False) -> Iterator[Page]:
    """A page of a browser that keeps its profile in the folder and ends with the block."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            folder, executable_path=browser_here(), args=list(FLAGS),
            color_scheme="dark" if dark else "light",
        )  # fmt: skip
        try:
            yield Page(context.pages[0])
        finally:
            context.close()
