"""The course in Chromium: light, dark and on a phone; its buttons pressed."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chromium import AXE, SETTLED, browsing

pytestmark = pytest.mark.browser
VIEWS = {"light": (1280, 900, "light"), "dark": (1280, 900, "dark"), "phone": (390, 844, "light")}
PAGES = (
    "index",
    "days/day08",
    "days/day09",
    "labs/micrograd",
    "labs/line-of-best-fit",
    "labs/dipping-into-pytorch",
    "labs/getting-started",
    "labs/digits",
    "labs/convolve",
    "labs/gpu",
    "labs/mini-project",
    "guide/live",
    "guide/outputs",
    "freshness",
    "search",
    "404",
)
TOO_WIDE = """() => [...document.querySelectorAll('body *')].filter(e => {
    const box = e.getBoundingClientRect();
    if (!(box.width > 0 && box.right > innerWidth + 1) || getComputedStyle(e).position === 'fixed') return false;
    for (let p = e.parentElement; p; p = p.parentElement)
        if (['auto', 'scroll', 'hidden'].includes(getComputedStyle(p).overflowX)) return false;
    return true;
}).map(e => e.outerHTML.slice(0, 120))"""
THEMED = "scheme => (document.documentElement.dataset.theme ?? scheme) === scheme"  # 404.html has none
TEXT = "p, li, td, th, h1, h2, h3, time, .agenda span, label, summary, figcaption"
CONTRAST = """(selector) => {
    const channels = c => c.match(/[\\d.]+/g).map(Number);
    const light = c => c.slice(0, 3).map(v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    return [...document.querySelectorAll(selector)].filter(e => e.offsetParent).map(e => {
        const isClear = g => (channels(getComputedStyle(g).backgroundColor)[3] ?? 1) === 0;
        let ground = e;
        while (ground && isClear(ground)) ground = ground.parentElement;
        const a = light(channels(getComputedStyle(e).color));
        const b = light(ground ? channels(getComputedStyle(ground).backgroundColor) : [255, 255, 255]);
        return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), e.outerHTML.slice(0, 80)];
    }).filter(([ratio]) => ratio < 4.5);
}"""


AXE_RULES = {"light": "", "dark": ", runOnly: ['color-contrast', 'link-in-text-block']"}
# Highlighted code is thousands of pieces in twenty looks, and axe-core takes a millisecond for each: it sees each look
# once. The others keep their place, as what can be scrolled depends on it.
HIDE_REPEATED = """() => {
    const seen = new Set();
    for (const e of document.querySelectorAll('.highlight span')) {
        const {color, backgroundColor, fontWeight, fontSize} = getComputedStyle(e);
        const block = e.closest('.cell_input, .cell_output, .admonition, details')?.className;
        const look = [e.className, color, backgroundColor, fontWeight, fontSize, block].join();
        e.style.visibility = seen.has(look) ? 'hidden' : 'visible';
        seen.add(look);
    }
}"""
SHOW_REPEATED = "document.querySelectorAll('.highlight span').forEach(e => e.style.removeProperty('visibility'))"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with browsing() as chromium:
        yield chromium


@pytest.fixture(scope="module")
def server(site: Path) -> Iterator[str]:
    """The site as GitHub Pages serves it: 404.html for whatever is missing."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

        def send_error(self, code: int, *args: object, **kwargs: object) -> None:
            body = (site / "404.html").read_bytes()
            self.send_response(code)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    server.server_close()


class Tab:
    """A browser's tab, with what its page said and asked for."""

    def __init__(self, browser: Any, server: str) -> None:
        self.page = browser.new_page()
        self.server, self.errors, self.elsewhere = server, [], []
        self.page.on("console", lambda m: self.errors.append(m.text) if m.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda e: self.errors.append(str(e)))
        self.page.on("request", lambda r: None if r.url.startswith((server, "data:")) else self.elsewhere.append(r.url))

    def begin(self, view: str) -> None:
        """Forget what was said, asked for and chosen, the color scheme say."""
        if self.page.url.startswith(self.server):
            self.page.evaluate("localStorage.clear(), sessionStorage.clear()")
            self.page.goto("about:blank")
        self.errors.clear()
        self.elsewhere.clear()
        width, height, self.scheme = VIEWS[view]
        self.page.set_viewport_size({"width": width, "height": height})
        self.page.emulate_media(color_scheme=self.scheme)

    def open(self, path: str) -> Any:
        self.page.goto(self.server + path, wait_until="load")
        if self.page.locator(".math").count():
            self.page.wait_for_selector("mjx-container", state="attached", timeout=20_000)
        self.page.wait_for_load_state("networkidle")
        return self.page

    def look(self, view: str) -> None:
        """Have the page as it is shown in another view, without loading it again."""
        width, height, self.scheme = VIEWS[view]
        self.page.set_viewport_size({"width": width, "height": height})
        self.page.emulate_media(color_scheme=self.scheme)
        self.page.wait_for_function(THEMED, arg=self.scheme)
        self.page.evaluate(SETTLED)


@pytest.fixture(scope="module")
def one_tab(browser: Any, server: str) -> Tab:
    """What every page needs, MathJax above all, is fetched and compiled once in a tab."""
    return Tab(browser, server)


@pytest.fixture
def tab(one_tab: Tab, request: pytest.FixtureRequest) -> Tab:
    one_tab.begin(getattr(request, "param", "light"))
    return one_tab


@pytest.mark.parametrize("name", PAGES)
def test_every_page_reads_well_and_is_accessible(tab: Tab, name: str) -> None:
    page = tab.open(f"{name}.html")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    for view in VIEWS:
        tab.look(view)
        assert page.evaluate(TOO_WIDE) == [], view
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), view
        assert page.evaluate(CONTRAST, TEXT) == [], view
        # One search field on the page itself; the theme's dialog and the search page have one each.
        if name not in ("search", "404"):
            assert page.locator(".search-button-field:visible, .search-button:visible").count() == 1, view
        assert _serious(page, view) == [], view
    assert tab.errors == []
    assert tab.elsewhere == []


def _serious(page: Any, view: str) -> list[str]:
    """The serious violations that axe-core knows of; what doesn't depend on colors is looked for in one view."""
    if view not in AXE_RULES:
        return []
    page.evaluate(HIDE_REPEATED)
    # Style sheets are for a rule that isn't among them, and axe-core looks for what they import in the wrong place.
    found = page.evaluate(f"axe.run({{preload: {{assets: ['media']}}, resultTypes: ['violations']{AXE_RULES[view]}}})")[
        "violations"
    ]
    page.evaluate(SHOW_REPEATED)
    return [
        f"{violation['id']}: {violation['help']}: {[node['html'][:100] for node in violation['nodes'][:3]]}"
        for violation in found
        if violation["impact"] in ("serious", "critical")
    ]


def test_dark_is_dark_and_the_button_switches(tab: Tab) -> None:
    page = tab.open("days/day08.html")
    ground = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(ground) == "rgb(255, 255, 255)"
    for _ in range(3):
        page.locator("button.theme-switch-button:visible").first.click()
        if page.evaluate("document.documentElement.dataset.theme") == "dark":
            break
    assert page.evaluate(ground) == "rgb(18, 23, 30)"
    assert page.evaluate(CONTRAST, "p, li, td, h1, h2, h3, time, summary") == []


@pytest.mark.parametrize("tab", list(VIEWS), indirect=True)
def test_figures_fit_and_have_no_card_behind_them(tab: Tab) -> None:
    page = tab.open("days/day09.html")
    images = page.locator("div.cell_output img")
    assert images.count() >= 5
    for index in range(images.count()):
        image = images.nth(index)
        image.scroll_into_view_if_needed()
        assert image.evaluate("e => e.complete && e.naturalWidth > 0")
        assert image.evaluate("e => e.getBoundingClientRect().right <= innerWidth")
        assert image.evaluate("e => getComputedStyle(e).backgroundColor") == "rgba(0, 0, 0, 0)"


@pytest.mark.parametrize("tab", ["light", "phone"], indirect=True)
def test_the_agenda_is_a_list_of_times(tab: Tab) -> None:
    page = tab.open("days/day08.html")
    items = page.locator(".agenda ol > li")
    assert items.count() == 4
    assert "1 h 40 min" in page.locator(".agenda-head").inner_text()
    assert items.nth(0).locator("time").nth(0).get_attribute("datetime") == "10:20"


def test_softmax_with_keyboard_mouse_and_buttons(tab: Tab) -> None:
    page = tab.open("days/day08.html")
    explorer = page.locator("softmax-explorer")
    explorer.scroll_into_view_if_needed()
    read = "e => [...e.querySelectorAll('output')].map(o => o.textContent)"
    before = explorer.evaluate(read)
    slider = explorer.locator("input[type=range]").nth(0)
    slider.focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    moved = explorer.evaluate(read)
    assert moved != before
    box = explorer.locator("input[type=range]").nth(2).bounding_box()
    assert box
    page.mouse.click(box["x"] + box["width"] - 4, box["y"] + box["height"] / 2)
    clicked = explorer.evaluate(read)
    assert clicked != moved
    reset = explorer.get_by_role("button", name="Reset")
    reset.focus()
    page.keyboard.press("Enter")
    assert explorer.evaluate(read) == before
    sizes = [b.bounding_box() for b in explorer.locator("button, input[type=range]").all()]
    assert all(size and size["height"] >= 24 for size in sizes)


def test_softmax_with_a_finger(browser: Any, server: str) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.goto(server + "days/day08.html")
    explorer = page.locator("softmax-explorer")
    slider = explorer.locator("input[type=range]").nth(0)
    slider.scroll_into_view_if_needed()
    before = slider.input_value()
    box = slider.bounding_box()
    page.touchscreen.tap(box["x"] + 8, box["y"] + box["height"] / 2)
    assert slider.input_value() != before
    context.close()


def test_softmax_says_what_pytorch_says(tab: Tab) -> None:
    import torch

    page = tab.open("days/day08.html")
    explorer = page.locator("softmax-explorer")
    scores = [float(s.input_value()) for s in explorer.locator("input[type=range]").all()]
    wanted = [f"{p:.3f}" for p in torch.softmax(torch.tensor(scores), 0).tolist()]
    shown = explorer.inner_text()
    for number in wanted:
        assert number in shown


def test_without_javascript_the_page_still_says_what_softmax_does(browser: Any, server: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(server + "days/day08.html")
    assert page.locator("softmax-explorer").inner_text().strip()
    context.close()


def test_search_finds_softmax(tab: Tab) -> None:
    page = tab.open("index.html")
    page.keyboard.press("Control+k")
    page.locator("dialog[open] input[type=search], dialog[open] input[name=q]").first.fill("softmax")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search.html?q=softmax*")
    page.wait_for_selector("#search-results li a")
    assert page.locator("#search-results li a[href*='day08']").count() >= 1
    assert tab.errors == []


def test_folds_open_by_keyboard(tab: Tab) -> None:
    page = tab.open("days/day08.html")
    summary = page.locator("article details > summary").first
    summary.focus()
    page.keyboard.press("Enter")
    assert summary.evaluate("e => e.parentElement.open")


@pytest.mark.parametrize("path", ["no-such.html", "days/no-such.html", "a/b/c/d/"])
def test_a_missing_page_leads_home_from_any_depth(tab: Tab, path: str) -> None:
    page = tab.open(path)
    assert page.locator("h1").inner_text() == "This page is not here"
    assert [e for e in tab.errors if "404" not in e] == []
    page.locator("main p a").first.click()
    page.wait_for_url(tab.server + "index.html")


def test_previous_and_next(tab: Tab) -> None:
    page = tab.open("index.html")
    page.locator("a.right-next").click()
    page.wait_for_url("**/days/day08.html")
    page.locator("a.left-prev").click()
    page.wait_for_url("**/index.html")


def test_the_table_of_pages_is_sorted_by_its_headings(tab: Tab) -> None:
    page = tab.open("/freshness.html")
    rows = "[...document.querySelectorAll('table.freshness tbody tr')].map(row => Number(row.cells[4].dataset.sort))"
    heading = page.locator("table.freshness th").nth(4)
    heading.get_by_role("button").focus()
    page.keyboard.press("Enter")
    seconds = page.evaluate(rows)
    assert len(seconds) >= 4
    assert seconds == sorted(seconds)
    assert heading.get_attribute("aria-sort") == "ascending"
    page.keyboard.press("Enter")
    assert page.evaluate(rows) == sorted(seconds, reverse=True)
    assert heading.get_attribute("aria-sort") == "descending"
    page.locator("table.freshness th").nth(0).get_by_role("button").click()
    assert heading.get_attribute("aria-sort") is None
