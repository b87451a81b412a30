"""Cards in headless Chromium: nothing leaves the page, all is seen, a keyboard and paper suffice."""

import re

import pytest
from browser import browser_here, browser_page
from carded import example_card, example_segmentation, example_study

WIDE, NARROW = 1200, 400
VISIBLE = """[...document.querySelectorAll('main svg[role=img], main img')].map(one => {
  const box = one.getBoundingClientRect(), look = getComputedStyle(one);
  const name = one.getAttribute('aria-labelledby') || one.alt;
  return [name, box.width, box.height, look.visibility, look.opacity];
})"""
HEADINGS = "[...document.querySelectorAll('h1, h2, h3, h4')].map(one => +one.tagName[1])"
# Elements with a text of their own, its colour and the first background behind it.
CONTRAST = """(() => {
  const parts = text => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = rgb => { const [r, g, b] = rgb.map(v => { v /= 255;
    return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const found = [];
  for (const one of document.body.querySelectorAll('*')) {
    const said = [...one.childNodes].some(n => n.nodeType === 3 && n.data.trim());
    if (one.closest('svg, script') || !said) continue;
    let behind = one, back = [255, 255, 255];
    while (behind) { const own = parts(getComputedStyle(behind).backgroundColor);
      if (own.length === 3 || own[3] > 0) { back = own.slice(0, 3); break; }
      behind = behind.parentElement; }
    const a = light(parts(getComputedStyle(one).color).slice(0, 3)), b = light(back);
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) found.push([one.tagName, one.textContent.slice(0, 40), ratio]);
  }
  return found;
})()"""
FOLDED = """[...document.querySelectorAll('details > :not(summary)')].map(
  one => one.getBoundingClientRect().height)"""

pytestmark = pytest.mark.skipif(
    browser_here() is None, reason="no Chromium on this machine (Debian: apt-get install chromium)"
)


@pytest.fixture(scope="module")
def cards(tmp_path_factory):
    home = tmp_path_factory.mktemp("cards")
    return {"classifier": example_card(home), "segmentation": example_segmentation(home),
            "study": example_study(home)}  # fmt: skip


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    with browser_page(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture(params=["classifier", "segmentation", "study"])
def card(request, cards):
    return cards[request.param]


def test_no_request_leaves_the_page_and_the_console_is_silent(page, card):
    page.requests.clear()
    page.complaints.clear()
    page.open(card, WIDE)
    elsewhere = [url for url in page.requests if not url.startswith("data:")]
    assert elsewhere == [card.absolute().as_uri()]
    assert page.complaints == []


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_every_figure_has_a_name_and_a_size_and_is_visible(page, card, width):
    page.open(card, width)
    figures = page.ask(VISIBLE)
    assert figures
    for name, broad, high, visibility, opacity in figures:
        assert name and broad > 40 and high > 20, name
        assert (visibility, opacity) == ("visible", "1")
    assert page.ask("document.querySelectorAll('svg[role=img] > title:empty').length") == 0
    ids = page.ask("[...document.querySelectorAll('[id]')].map(one => one.id)")
    assert len(ids) == len(set(ids))
    named = page.ask("[...document.querySelectorAll('[aria-labelledby]')].every("
                     "one => document.getElementById(one.getAttribute('aria-labelledby')))")  # fmt: skip
    assert named


def test_landmarks_have_names_of_their_own(page, card):
    page.open(card, WIDE)
    names = page.ask(
        "[...document.querySelectorAll('section[aria-labelledby], nav')].map("
        "one => one.getAttribute('aria-labelledby') || one.getAttribute('aria-label'))"
    )
    assert len(names) == len(set(names)) > 8
    count = "document.querySelectorAll('{}').length"
    assert page.ask(count.format("main")) == 1 and page.ask(count.format("[role=region]")) == 0


def test_a_narrow_screen_does_not_scroll_sideways(page, card):
    page.open(card, NARROW)
    assert page.ask("document.documentElement.scrollWidth") <= NARROW


def test_headings_are_in_order(page, card):
    page.open(card, WIDE)
    levels = page.ask(HEADINGS)
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(levels, levels[1:], strict=False))


def test_every_text_has_the_contrast_of_wcag_aa(page, card):
    page.open(card, WIDE)
    page.ask("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert page.ask(CONTRAST) == []


def test_a_keyboard_reaches_the_skip_link_first_and_everything_that_scrolls_or_opens(page, card):
    page.open(card, NARROW)
    page.tab.keyboard.press("Tab")
    assert page.ask("document.activeElement.className") == "skip"
    scrolls = page.ask("[...document.querySelectorAll('.scroll')].every(one => one.tabIndex === 0)")
    assert scrolls and page.ask("document.querySelectorAll('details > summary').length") >= 2
    assert page.ask("[...document.querySelectorAll('a[href^=\"#\"]')].every("
                    "one => document.querySelector(one.getAttribute('href')))")  # fmt: skip


def test_print_shows_what_is_folded_on_pages_of_a4(page, card):
    page.open(card, WIDE)
    page.tab.emulate_media(media="print")
    heights = page.ask(FOLDED)
    page.tab.emulate_media(media="screen")
    assert heights and min(heights) > 0
    pdf = page.tab.pdf(prefer_css_page_size=True)
    boxes = set(re.findall(rb"/MediaBox ?\[([^\]]+)\]", pdf))
    assert len(boxes) == 1
    wide, high = map(float, boxes.pop().split()[2:])
    assert abs(wide - 595.3) < 1.5 and abs(high - 841.9) < 1.5
