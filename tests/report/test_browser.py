"""The page in a real browser: nothing is fetched, nothing complains, figures move, a click on the map shows the structure.

Needs a Chromium on the PATH and playwright to steer it (pip install playwright; no browser of its own is downloaded).
"""

import shutil

import pytest
from synthetic_records import write_run

from jaxft.report.report import report
from jaxft.report.sections import FIGURES

pytest.importorskip("plotly", reason="figures that move need plotly: pip install plotly")
pytest.importorskip("chemiscope", reason="the map needs chemiscope: pip install chemiscope")
playwright = pytest.importorskip("playwright.sync_api", reason="steering a browser needs: pip install playwright")
CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="needs a browser: apt-get install chromium"),
    pytest.mark.slow,
]

SECONDS = 1000.0

# chemiscope keeps its map in a shadow tree
PLACE = """() => {
  const find = (node) => {
    for (const e of node.querySelectorAll("*")) {
      const found = e.matches(".js-plotly-plot") ? e : e.shadowRoot && find(e.shadowRoot);
      if (found) return found;
    }
  };
  const map = find(document), corner = map.getBoundingClientRect();
  const { xaxis, yaxis } = map._fullLayout, { x, y } = map.data[0];
  let last = x.length - 1;
  while (!(isFinite(x[last]) && isFinite(y[last]))) last -= 1;
  return [corner.left + xaxis._offset + xaxis.l2p(x[last]), corner.top + yaxis._offset + yaxis.l2p(y[last])];
}"""


class Visit:
    """A page that is open, and what the browser had to say of it."""

    def __init__(self, page, path):
        self.page, self.complaints, self.asked = page, [], []
        page.set_default_timeout(60 * SECONDS)
        page.on("console", lambda message: self.complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.asked.append(request.url))
        page.goto(path.as_uri())

    def open_map(self, name):
        """Open a map; returns the document that it is in."""
        self.page.locator(f"button[data-map={name}]").click()
        self.page.wait_for_selector(f".chemiscope[data-drawn={name}]")
        return self.page.frame_locator(".chemiscope iframe")

    def place_of_last_point(self):
        """Where on the screen the last point of the map is."""
        frame = self.page.locator(".chemiscope iframe")
        frame.scroll_into_view_if_needed()
        corner = frame.bounding_box()
        x, y = self.page.frames[1].evaluate(PLACE)
        return corner["x"] + x, corner["y"] + y


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    """The page of a whole study."""
    return report(write_run(tmp_path_factory.mktemp("run") / "whole")).page


@pytest.fixture(scope="module")
def browser():
    """Headless; its drawing in software."""
    with playwright.sync_playwright() as running:
        options = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
        opened = running.chromium.launch(executable_path=CHROMIUM, args=options)
        yield opened
        opened.close()


@pytest.fixture(params=[(1280, 900), (390, 844)], ids=["desktop", "phone"])
def visit(request, browser, index):
    """The page, opened anew."""
    width, height = request.param
    page = browser.new_page(viewport={"width": width, "height": height})
    yield Visit(page, index)
    page.close()


def test_figures_are_there_and_the_page_is_no_wider_than_the_screen(visit):
    drawn = visit.page.locator("figure img")
    assert drawn.count() == len(FIGURES) - 1  # no production run
    assert visit.page.evaluate("[...document.images].every((image) => image.complete && image.naturalWidth > 100)")
    assert visit.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert visit.complaints == []


def test_every_figure_that_can_move_does_and_goes_back(visit):
    buttons = visit.page.locator("button[data-plot]")
    assert buttons.count() >= 5
    for k in range(buttons.count()):
        name = buttons.nth(k).get_attribute("data-plot")
        buttons.nth(k).click()
        visit.page.wait_for_selector(f"#{name} .plot[data-drawn] .main-svg")
        assert visit.page.locator(f"#{name} img").is_hidden()
    buttons.first.click()
    assert visit.page.locator("figure img").first.is_visible()
    assert visit.complaints == []


@pytest.mark.parametrize("name", ["frames", "atoms", "errors", "events"])
def test_a_click_on_the_map_shows_another_structure(visit, name):
    inside = visit.open_map(name)
    number, structure = inside.locator(".chsp-info-number").first, inside.locator("#shown-structure")
    before, shown = number.input_value(), structure.screenshot()
    visit.page.mouse.click(*visit.place_of_last_point())
    visit.page.wait_for_timeout(SECONDS)
    assert number.input_value() != before
    assert structure.screenshot() != shown
    assert visit.complaints == []


def test_nothing_is_asked_of_any_network(visit, index):
    visit.page.locator("button[data-plot]").first.click()
    visit.page.wait_for_selector(".plot[data-drawn]")
    visit.open_map("frames")
    assert {url.split("#")[0] for url in visit.asked} <= {index.as_uri(), "about:srcdoc"}
