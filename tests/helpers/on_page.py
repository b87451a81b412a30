"""What a person does on the page, in a browser: choose a model, drop files, wait for the answer."""

from pathlib import Path

from browser import Page

WIDE, NARROW = 1400, 400


def begin(page: Page, server, width: int = WIDE, height: int = 950) -> None:
    """Opens the page of a server in a window of this size, with nothing said yet."""
    page.requests.clear()
    page.complaints.clear()
    page.open(f"http://127.0.0.1:{server.port}/", width, height)
    page.tab.wait_for_selector(".model")


def choose(page: Page, model: str) -> None:
    """Chooses a model by its name."""
    page.tab.check(f'input[name=model][value="{model}"]')


def drop(page: Page, *paths: Path) -> None:
    """Drops files and folders of this disk, as a file manager does."""
    area = page.tab.locator("#drop")
    area.scroll_into_view_if_needed()
    box = area.bounding_box()
    place = {"x": box["x"] + box["width"] / 2, "y": box["y"] + 20}
    data = {"items": [], "files": [str(path.absolute()) for path in paths], "dragOperationsMask": 1}
    tools = page.tab.context.new_cdp_session(page.tab)
    for kind in ("dragEnter", "dragOver", "drop"):
        tools.send("Input.dispatchDragEvent", {"type": kind, **place, "data": data})
    tools.detach()


def wait_for(page: Page, case: str, overlay: str = "") -> None:
    """Waits until the image of a case is drawn, with its "map" or "labels" where one is expected."""
    shown = f"{case} with {overlay}" if overlay else case
    page.tab.wait_for_selector(f'[data-shown="{shown}"]:not([aria-busy])')


def show(page: Page, server, model: str, *paths: Path, overlay: str = "map", width: int = WIDE) -> None:
    """All of it: the first case of these files with the answer of a model."""
    begin(page, server, width)
    choose(page, model)
    drop(page, *paths)
    wait_for(page, "c1", overlay)


def millimetres_at_crosshair(page: Page) -> list[float]:
    """RAS mm, as the page says them."""
    return [float(part) for part in page.tab.get_attribute("#where", "data-mm").split()]


def slice_of(page: Page, plane: str) -> int:
    """The slice of a plane that is shown, counted from 1."""
    return int(page.tab.input_value(f"input[data-plane={plane}]"))
