"""The page: whole, self-contained, and without anything that could run."""

import base64
from html.parser import HTMLParser

import pytest
from synthetic_runs import model_test, run

from jaxft.report.figures import pictures
from jaxft.report.page import page
from jaxft.strategies.stretch import Stretch

VOID = {"meta", "img", "br", "hr", "link"}


class Reader(HTMLParser):
    """Collects tags, attributes and text; fails where tags don't nest."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.texts, self.images = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "img":
            self.images.append(dict(attrs))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data.strip())


@pytest.fixture(scope="module")
def drawn(whole):
    """The figures of the whole study."""
    return pictures(whole)


@pytest.fixture(scope="module")
def reader(whole, drawn):
    """Its page, read."""
    return Reader(page(whole, drawn, {"versions": {"jaxft": "0.1.0"}, "seeds": [0, 1]}))


def test_figures_are_inside_the_page(reader, drawn):
    for img, picture in zip(reader.images, drawn, strict=True):
        head, data = img["src"].split(",")
        assert head == "data:image/png;base64"
        assert base64.b64decode(data) == picture.data
        assert img["alt"]


def test_nothing_runs_and_nothing_is_fetched(reader):
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in reader.tags}
    for _, attributes in reader.tags:
        assert not any(name.startswith("on") for name in attributes)
        assert not any("http" in (value or "") for name, value in attributes.items() if name in ("src", "href"))


def test_the_heading_says_that_it_is_a_demonstration(reader, short):
    assert "demonstration, not evidence" in reader.texts
    assert "demonstration, not evidence" not in page(short, [])


def test_phones_are_thought_of(reader):
    assert ("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}) in reader.tags


def test_settings_and_run_are_listed_and_escaped(reader, whole):
    assert "md · temperature k" in reader.texts
    assert "350" in reader.texts
    assert "versions · jaxft" in reader.texts
    assert "0, 1" in reader.texts
    assert "CoCl2 &lt;in&gt; water" in page(whole, [])


def test_every_model_has_its_row_and_footnotes(reader):
    for name in ("base + offset", "N-50pts", "FT3"):
        assert name in reader.texts
    assert any("two atoms too close" in text for text in reader.texts)


def test_an_empty_run_has_a_page(recorded):
    texts = Reader(page(recorded([], planned=["base", "FT1"]), [])).texts
    assert "No model has been tested yet." in texts
    assert "Not tested yet: base, FT1." in texts


def test_what_sampling_does_not_allow_to_claim_is_said(recorded):
    tests = [model_test("N-10pts", "naive", 10, seeds=[run(0)], training_n_effective=4.2)]
    moving = Stretch("naive", 1, 500.0, 1000.0, 700.0, 12.0, None)
    steady = Stretch("naive", 0, 500.0, 1000.0, 300.0, 12.0, None)
    texts = " ".join(Reader(page(recorded(tests, sampling=[steady, moving]), [])).texts)
    assert "in 1 of 2 stretches of sampling (naive replica 1)" in texts
    assert "N-10pts 4.20 of 10 labels are independent" in texts
    quiet = " ".join(Reader(page(recorded([model_test(seeds=[run(0)])], sampling=[steady]), [])).texts)
    assert "stretches" not in quiet
    assert "independent." not in quiet
