"""A study of a thousand cases or slices: the page draws a part at a time, and all can be reached."""

import re

import numpy as np
import pytest
from marked import SHAPE, millimetres
from on_page import NARROW, begin, choose, drop, show, wait_for

MANY, AT_ONCE = 1000, 200
CROSSHAIR = 60  # by how much its blue exceeds its red at least


@pytest.fixture
def multiplied(page):
    """Has the page told of MANY cases, or slices of a case, where the server has a few."""

    def answer(route):
        if route.request.method != "GET":
            route.continue_()
            return
        response = route.fetch()
        study = response.json()
        cases = study["cases"]
        if len(cases) == 1:
            heights = np.linspace(millimetres((0, 0, SHAPE[2] - 1))[2], millimetres((0, 0, 0))[2], MANY)
            cases[0]["rows"] = [
                {**cases[0]["rows"][0], "slice": at + 1, "z_mm": height}
                for at, height in enumerate(heights.tolist())
            ]
        elif cases:
            study["cases"] = [
                {**cases[at % len(cases)], "id": f"c{at + 1}", "name": f"case {at + 1}",
                 "files": f"picture-{at + 1:04d}.png"}
                for at in range(MANY)
            ]  # fmt: skip
        route.fulfill(response=response, json=study)

    address = re.compile(r"/api/studies/[0-9a-f]{16}$")
    page.tab.route(address, answer)
    yield
    page.tab.unroute(address)


def test_a_list_of_a_thousand_cases_holds_some_at_a_time_and_leads_to_all(
    page, server, files, multiplied
):
    show(page, server, "bright", files["pictures"])
    cases = page.tab.locator(".case[data-case]")
    assert cases.count() == AT_ONCE
    assert page.tab.inner_text(".case-list [role=status]") == "1000 cases"
    page.tab.get_by_role("button", name="800 cases after").click()
    assert cases.first.get_attribute("data-case") == "c201"
    assert page.ask("document.activeElement.dataset.case") == "c201"
    page.tab.keyboard.press("Enter")
    wait_for(page, "c201", "map")
    page.tab.keyboard.press("p")  # to one that is not in the list now
    wait_for(page, "c200", "map")
    assert page.tab.locator("[aria-current]").get_attribute("data-case") == "c200"
    assert cases.count() == AT_ONCE
    page.tab.fill("#search", "picture-0999")
    assert [one.get_attribute("data-case") for one in cases.all()] == ["c999"]
    page.tab.fill("#search", "")
    page.tab.select_option("#order", label="Surest first")
    assert cases.count() == AT_ONCE and page.tab.get_by_role("button", name="before").count() == 0
    assert page.complaints == []


def test_the_table_of_a_thousand_slices_follows_the_crosshair(page, server, files, multiplied):
    show(page, server, "side", files["nifti"])
    rows = page.tab.locator(".slices tbody tr")
    for _ in range(22):
        page.tab.keyboard.press("ArrowUp")  # to the head
    page.tab.get_by_text("Slices 1 to 200 of 1000").wait_for()
    assert rows.count() == AT_ONCE and "Slice 1\t" in rows.first.inner_text()
    for _ in range(11):
        page.tab.keyboard.press("ArrowDown")
    middle = re.compile(r"^Slices [34]\d\d to [56]\d\d of 1000")
    page.tab.locator(".slices summary", has_text=middle).wait_for()
    assert rows.count() == AT_ONCE
    line = page.tab.locator(".slices .decided").bounding_box()
    box = page.tab.locator(".slices .scroll").bounding_box()
    assert box["y"] <= line["y"] and line["y"] + line["height"] <= box["y"] + box["height"]


def test_what_is_dropped_is_looked_through_and_the_words_come_back(page, server, files):
    begin(page, server)
    choose(page, "side")
    page.tab.evaluate("""() => {
      window.said = []
      new MutationObserver(([seen]) => window.said.push(seen.target.textContent))
        .observe(document.querySelector('.drop-words'), { childList: true })
    }""")
    drop(page, files["broken"])
    page.tab.wait_for_selector("#problem:not([hidden])")
    assert page.ask("window.said")[0] == "Looking for the files in it …"
    assert page.tab.inner_text(".drop-words") == "Drop the study here"


def test_the_lines_of_the_crosshair_are_drawn_on_a_narrow_screen(page, server, files):
    from test_marker_on_screen import picture

    show(page, server, "side", files["nifti"], width=NARROW)
    page.tab.keyboard.press("0")  # without the map
    red, _, blue = (picture(page)[..., channel] for channel in range(3))
    drawn = blue - red > CROSSHAIR
    assert (drawn.sum(axis=0) > 60).sum() >= 2, "the vertical lines"
    assert (drawn.sum(axis=1) > 60).sum() >= 2, "the horizontal lines"
