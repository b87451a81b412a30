"""The page as a person uses it, in headless Chromium: drop, look, read, by mouse and by keyboard."""

import time

import httpx
import nibabel
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from on_page import (
    NARROW,
    WIDE,
    begin,
    choose,
    drop,
    show,
    slice_of,
    wait_for,
)
from paged import page as served

MOST_S = 30  # from the drop of a DICOM series to its map on the screen
BAD = ("serious", "critical")


def test_a_dropped_series_of_22_slices_shows_its_map_within_30_seconds(page, server, files):
    begin(page, server)
    choose(page, "side")
    start = time.monotonic()
    drop(page, files["dicom"])
    wait_for(page, "c1", "map")
    assert time.monotonic() - start < MOST_S
    assert "right" in page.tab.inner_text("#decision")
    answer = page.tab.inner_text(".answer")
    assert "0.950" in answer and "0.095" in answer  # probability, and the SD of the members
    assert "right cannot be ruled out" in page.tab.inner_text("#prediction-set")
    assert "like the training data" in page.tab.inner_text("#unlike")
    assert page.complaints == []


def test_no_request_leaves_the_page(page, server, files):
    show(page, server, "side", files["nifti"])
    own = f"http://127.0.0.1:{server.port}/"
    elsewhere = [url for url in page.requests if not url.startswith((own, "data:", "blob:"))]
    assert elsewhere == [] and page.complaints == []
    assert any(url.endswith("/map.nii.gz") for url in page.requests)


def test_a_segmentation_shows_its_volume_and_gives_its_labels(page, server, files, tmp_path):
    show(page, server, "marker", files["nifti"], overlay="labels")
    row = page.tab.inner_text("#volumes tbody tr").split()
    assert row == ["marker", "1.76", "245"]  # 7 x 7 x 5 voxels of 1.5 x 1.2 x 4 mm
    assert page.tab.inner_text("#where").split()[-1] == "marker"
    with page.tab.expect_download() as download:
        page.tab.get_by_role("button", name="Download the labels").click()
    copy = tmp_path / download.value.suggested_filename
    download.value.save_as(copy)
    assert copy.name == "labels_scan.nii.gz"
    labels, given = nibabel.load(copy), nibabel.load(files["nifti"])
    assert labels.shape == given.shape and np.allclose(labels.affine, given.affine)
    assert np.count_nonzero(labels.get_fdata()) == 245


def test_a_broken_file_gives_the_sentence_of_its_reader(page, server, files):
    begin(page, server)
    choose(page, "side")
    drop(page, files["broken"])
    page.tab.wait_for_selector("#problem:not([hidden])")
    said = page.tab.inner_text("#problem")
    assert "Received: not a NIfTI or MGH file. Correct or replace" in said
    assert page.tab.is_visible("#drop")


def test_a_file_beside_good_ones_is_named_with_the_reason(page, server, files, tmp_path):
    folder = tmp_path / "mixed"
    folder.mkdir()
    (folder / "bad.png").write_bytes(b"no picture")
    (folder / "good.png").write_bytes((files["pictures"] / "pale.png").read_bytes())
    show(page, server, "bright", folder)
    page.tab.click("#skipped summary")
    assert "bad.png" in page.tab.inner_text("#skipped ul")


def test_a_cancelled_study_leads_back_to_the_start(page, server, files):
    begin(page, server)
    choose(page, "side")
    page.tab.route("**/files?*", lambda route: None)  # the upload never ends
    drop(page, files["dicom"])
    page.tab.get_by_role("button", name="Cancel").click()
    page.tab.wait_for_selector("#drop")
    page.tab.unroute("**/files?*")
    assert page.tab.is_hidden("#problem")


def test_a_keyboard_alone_is_enough(page, server, files):
    press = page.tab.keyboard.press
    with page.tab.expect_file_chooser() as chooser:
        begin(page, server)
        reach(page, 'document.activeElement.name === "model"')
        press("ArrowDown")
        press("ArrowUp")
        assert page.ask("document.activeElement.value") == "bright"
        reach(page, 'document.activeElement.textContent === "Choose files"')
        press("Enter")
    chooser.value.set_files(sorted(files["pictures"].iterdir()))
    wait_for(page, "c1", "map")
    press("n")
    wait_for(page, "c2", "map")
    press("p")
    wait_for(page, "c1", "map")
    press("3")
    assert page.tab.input_value("#opacity") == "30"
    press("?")
    assert page.tab.is_visible("dialog.keys")
    press("Escape")
    assert page.tab.is_hidden("dialog.keys")
    reach(page, 'document.activeElement.id === "search"')
    page.tab.keyboard.type("pale")  # letters of a name are no keys here
    assert page.tab.locator(".case").count() == 1
    reach(page, 'document.activeElement.className === "case"')
    assert page.ask("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    press("Enter")
    wait_for(page, "c3", "map")


def test_arrows_go_through_the_slices_of_each_plane(page, server, files):
    show(page, server, "side", files["nifti"])
    start = {plane: slice_of(page, plane) for plane in ("axial", "coronal", "sagittal")}
    for key, plane, by in (
        ("ArrowDown", "axial", 1), ("ArrowRight", "sagittal", 1), ("PageDown", "coronal", 1),
        ("ArrowUp", "axial", 0), ("ArrowLeft", "sagittal", 0), ("PageUp", "coronal", 0),
    ):  # fmt: skip
        page.tab.keyboard.press(key)
        assert slice_of(page, plane) == start[plane] + by, key
    page.tab.focus("input[data-plane=coronal]")
    page.tab.keyboard.press("ArrowDown")
    assert slice_of(page, "coronal") == start["coronal"] + 1
    page.tab.get_by_label("Sagittal", exact=True).first.check(force=True)
    page.tab.locator("#case-heading").focus()
    page.tab.keyboard.press("ArrowDown")
    assert slice_of(page, "sagittal") == start["sagittal"] + 1


@pytest.mark.parametrize(("width", "dark"), [(WIDE, True), (NARROW, False)], ids=["wide", "narrow"])
def test_axe_finds_nothing_serious_and_nothing_scrolls_sideways(page, server, files, width, dark):
    page.tab.emulate_media(color_scheme="dark" if dark else "light")
    begin(page, server, width)
    check(page, width)
    show(page, server, "side", files["nifti"], width=width)
    check(page, width)
    page.tab.keyboard.press("?")
    check(page, width)
    page.tab.emulate_media(color_scheme="light")


def test_reading_mode_hides_the_answer_until_the_label_is_given(page, server, files):
    begin(page, server)
    choose(page, "bright")
    page.tab.check("#reading")
    drop(page, files["pictures"])
    page.tab.get_by_text("Reading mode needs a name for the reader.").wait_for()
    page.tab.fill("#reader", "Reader A")
    drop(page, files["pictures"])
    wait_for(page, "c1")
    assert not page.tab.query_selector("#decision")
    assert not [url for url in page.requests if url.endswith("map.nii.gz")]
    assert "0.8" not in page.tab.content()  # no probability is anywhere in the page
    page.tab.check(".reading input[value=light]")
    page.tab.get_by_role("button", name="Save my label").click()
    wait_for(page, "c1", "map")
    assert "dark" in page.tab.inner_text("#decision")
    assert "You said light. The model says dark." in page.tab.inner_text("#said")
    page.tab.get_by_text("Correct my label").click()
    page.tab.check(".reading input[value=dark]")
    page.tab.get_by_role("button", name="Save the correction").click()
    page.tab.get_by_text("and dark after seeing the answer").wait_for()
    with page.tab.expect_download() as download:
        page.tab.get_by_role("button", name="Download labels").click()
    lines = download.value.path().read_text().splitlines()
    assert len(lines) == 2 and "Reader A,light,dark" in lines[1]


def test_agreement_with_the_model_and_another_reader_is_counted(page, server, files, tmp_path):
    begin(page, server)
    choose(page, "bright")
    page.tab.check("#reading")
    page.tab.fill("#reader", "A")
    drop(page, files["pictures"])
    wait_for(page, "c1")
    for number, label in enumerate(("dark", "light", "light"), 1):
        wait_for(page, f"c{number}")
        page.tab.check(f".reading input[value={label}]")
        page.tab.get_by_role("button", name="Save my label").click()
        wait_for(page, f"c{number}", "map")
        page.tab.keyboard.press("n")
    with page.tab.expect_download() as download:
        page.tab.get_by_role("button", name="Download labels").click()
    other = tmp_path / "readings_B.csv"
    other.write_text(download.value.path().read_text().replace("A,dark", "B,light"))
    page.tab.get_by_role("button", name="Agreement").click()
    page.tab.set_input_files("#reader-files", other)
    page.tab.wait_for_selector("text=A and B")
    lines = [row.split("\t") for row in page.tab.locator(".kappas tbody tr").all_inner_texts()]
    assert [line[:3] for line in lines] == [
        ["You and the model", "3", "100 %"], ["B and the model", "3", "67 %"], ["A and B", "3", "67 %"],
    ]  # fmt: skip
    check(page, WIDE)
    page.tab.keyboard.press("Escape")


def test_the_list_is_searched_and_sorted(page, server, files):
    show(page, server, "bright", files["pictures"])
    names = page.tab.locator(".case-file")
    assert [name[-8:] for name in names.all_inner_texts()] == ["/dim.png", "grey.png", "pale.png"]
    page.tab.select_option("#order", label="Least sure first")
    assert names.first.inner_text().endswith("grey.png")
    page.tab.fill("#search", "light")
    assert names.count() == 2


def test_the_card_is_shown_in_a_frame_that_runs_nothing(page, server):
    begin(page, server)
    assert "Audit: leak" in page.tab.inner_text(".model:has-text('bright') .audit")
    page.tab.get_by_role("button", name="Model card of bright").click()
    page.tab.frame_locator("iframe").get_by_text("A card.").wait_for()
    assert page.tab.get_attribute("iframe", "sandbox") == ""
    page.tab.keyboard.press("Escape")
    assert page.complaints == []


def test_a_page_with_a_token_asks_for_it(page, models, tmp_path):
    with served(models, tmp_path, {"token": "open sesame"}) as running:
        page.open(f"http://127.0.0.1:{running.port}/", WIDE)
        page.tab.fill("#token", "wrong")
        page.tab.keyboard.press("Enter")
        page.tab.wait_for_selector("[role=alert]")
        page.tab.fill("#token", "open sesame")
        page.tab.keyboard.press("Enter")
        page.tab.wait_for_selector(".model")
        page.tab.goto("about:blank")


def test_closing_the_tab_ends_the_session(page, server, files):
    with page.tab.expect_request("**/image.nii.gz*") as asked:
        show(page, server, "bright", files["pictures"])
    address, token = asked.value.url, asked.value.headers["x-session"]

    def code() -> int:
        return httpx.get(address, headers={"x-session": token}).status_code

    assert code() == 200
    page.tab.goto("about:blank")
    end = time.monotonic() + 10
    while code() != 404 and time.monotonic() < end:
        time.sleep(0.05)
    assert code() == 404


def reach(page, condition: str) -> None:
    """Presses Tab until the condition holds."""
    for _ in range(60):
        if page.ask(condition):
            return
        page.tab.keyboard.press("Tab")
    raise AssertionError(f"no Tab leads to where {condition}")


def check(page, width: int) -> None:
    """No serious finding of axe, no scrolling sideways, no complaint of the console."""
    found = Axe().run(page.tab).response["violations"]
    serious = [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in BAD]
    assert serious == []
    assert page.ask("document.documentElement.scrollWidth") <= width
    assert page.complaints == []
