"""The page: whole, self-contained, readable without scripts, and honest about what is missing."""

import base64
from html.parser import HTMLParser
from pathlib import Path

import pytest
from synthetic_runs import model_test, run

from jaxft.report.page import page
from jaxft.report.records import Records
from jaxft.report.sections import sections
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


def records_of(residuals, run_record=None):
    """Records of a run that has nothing but tests of models."""
    nothing = dict.fromkeys(("verdict", "q", "coverage", "cross", "events", "structure", "checks", "atoms"))
    return Records(Path("run"), residuals, run_record, **nothing, production=(), lineage=(), unreadable=())


def text_of(residuals, run_record=None, scripts=None):
    """Its page."""
    records = records_of(residuals, run_record)
    return page(records, sections(records), scripts or {})


@pytest.fixture(scope="module")
def reader(whole):
    """The page of a whole study, read."""
    return Reader(text_of(whole, {"versions": {"jaxft": "0.1.0"}, "seeds": [0, 1]}))


def test_figures_are_inside_the_page(reader, whole):
    drawn = [picture for section in sections(records_of(whole)) for picture in section.pictures]
    assert [picture.name for picture in drawn] == ["residuals", "scores"]
    for img, picture in zip(reader.images, drawn, strict=True):
        head, data = img["src"].split(",")
        assert head == "data:image/png;base64"
        assert base64.b64decode(data) == picture.data
        assert img["alt"]


@pytest.mark.parametrize("scripts", [{}, {"plotly": "var Plotly"}])
def test_nothing_is_fetched(whole, scripts):
    found = Reader(text_of(whole, scripts=scripts))
    assert not {"link", "iframe", "object"} & {tag for tag, _ in found.tags}
    for _, attributes in found.tags:
        assert not any(name.startswith("on") for name in attributes)
        assert not any("http" in (value or "") for name, value in attributes.items() if name in ("src", "href"))


def test_without_plotly_nothing_runs_and_it_says_what_to_install(reader):
    assert "script" not in {tag for tag, _ in reader.tags}
    assert any("pip install" in text for text in reader.texts)


def test_with_plotly_it_is_packed_once(whole):
    text = text_of(whole, scripts={"plotly": "var Plotly = 1"})
    assert text.count('id="packed-plotly"') == 1
    assert 'id="packed-plot-residuals"' in text
    assert "var Plotly" not in text


def test_the_demonstration_banner_comes_first(reader, whole, short):
    words = [text for text in reader.texts if text]
    heading = words.index("demonstration, not evidence", words.index("Which model can be trusted in its own dynamics"))
    assert heading < words.index("Verdict")
    assert "demonstration, not evidence" not in text_of(short)


def test_phones_are_thought_of(reader):
    assert ("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}) in reader.tags


def test_settings_and_run_are_listed_and_escaped(reader, whole):
    assert "md · temperature k" in reader.texts
    assert "350" in reader.texts
    assert "versions · jaxft" in reader.texts
    assert "0, 1" in reader.texts
    assert "CoCl2 &lt;in&gt; water" in text_of(whole)


def test_every_model_has_its_row_and_footnotes(reader):
    for name in ("base + offset", "N-50pts", "FT3"):
        assert name in reader.texts
    assert any("two atoms too close" in text for text in reader.texts)


def test_a_run_that_is_going_says_so(whole):
    assert "This run has not finished" in text_of(whole, {"finished": False})
    assert "This run has not finished" not in text_of(whole, {"finished": True})


def test_an_empty_run_has_a_page(recorded):
    texts = Reader(text_of(recorded([], planned=["base", "FT1"]))).texts
    assert "No model has been tested yet." in texts
    assert "Not tested yet: base, FT1." in texts


def test_what_sampling_does_not_allow_to_claim_is_said(recorded):
    tests = [model_test("N-10pts", "naive", 10, seeds=[run(0)], training_n_effective=4.2)]
    moving = Stretch("naive", 1, 500.0, 1000.0, 700.0, 12.0, None)
    steady = Stretch("naive", 0, 500.0, 1000.0, 300.0, 12.0, None)
    texts = " ".join(Reader(text_of(recorded(tests, sampling=[steady, moving]))).texts)
    assert "in 1 of 2 stretches of sampling (naive replica 1)" in texts
    assert "N-10pts 4.20 of 10 labels are independent" in texts
    quiet = " ".join(Reader(text_of(recorded([model_test(seeds=[run(0)])], sampling=[steady]))).texts)
    assert "stretches" not in quiet
    assert "independent." not in quiet
