"""One page that opens anywhere: no network, figures inside it, readable on a phone and in print.

Everything is there without scripts; the page's own small script (``page.js``) adds figures that one may zoom and the map of
structures, from what the page carries packed inside it.
"""

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Any

from jaxft.report.formatting import DISCLAIMER
from jaxft.report.html import paragraph
from jaxft.report.picture import Picture
from jaxft.report.records import Records
from jaxft.report.rows import notices
from jaxft.report.scripts import INSTALL, packed
from jaxft.report.section import Section
from jaxft.report.style import DPI

TITLE = "Which model can be trusted in its own dynamics"

GOING = "This run has not finished: what follows is what its records hold so far."

SMALLEST, LARGEST = 4.7, 7.5
"""rem for an inch of a figure."""


def page(records: Records, sections: Sequence[Section], scripts: Mapping[str, str]) -> str:
    """The report as HTML. scripts: ``plotly`` and ``chemiscope``, those that are installed."""
    body = [f"<h1>{TITLE}</h1>"]
    if records.residuals.demonstration:
        body.append(f'<p class="demonstration"><strong>{DISCLAIMER}</strong></p>')
    body += [paragraph(text, "notice") for text in _notices(records)]
    body.append(_contents(sections))
    for number, section in enumerate(sections):
        body.append(f'<h2 id="{_anchor(number)}">{escape(section.heading)}</h2>')
        body += [_figure(b, "plotly" in scripts) if isinstance(b, Picture) else b for b in section.blocks]
    if "plotly" not in scripts:
        body.append(
            paragraph(f"Figures can be zoomed once plotly is installed: {INSTALL}, then jaxft report.", "notes")
        )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{TITLE}</title>\n<style>\n{_own('page.css')}</style>\n</head>\n<body>\n"
        + "\n".join([*body, *_carried(sections, scripts, records.residuals.demonstration)])
        + "\n</body>\n</html>\n"
    )


def _notices(records: Records) -> list[str]:
    said = [GOING] if records.going else []
    said += notices(records.residuals)
    return said + [f"Left out: {text}" for text in records.unreadable]


def _contents(sections: Sequence[Section]) -> str:
    links = "\n".join(f'<a href="#{_anchor(k)}">{escape(s.heading)}</a>' for k, s in enumerate(sections))
    return f"<nav>\n{links}\n</nav>"


def _anchor(number: int) -> str:
    return f"part-{number + 1}"


def _figure(picture: Picture, zoomed: bool) -> str:
    data = base64.b64encode(picture.data).decode("ascii")
    live = (
        f'<button type="button" data-plot="{picture.name}" hidden>Zoom and point</button><div class="plot" hidden></div>'
        if zoomed and picture.plot is not None
        else ""
    )
    return (
        f'<figure id="{picture.name}"><div class="scroll">'
        f'<img style="{_size(picture.data)}" src="data:image/png;base64,{data}" alt="{escape(picture.alternative)}"></div>'
        f"{live}<figcaption>{escape(picture.caption)}</figcaption></figure>"
    )


def _size(png: bytes) -> str:
    """As wide as the page where there is room, never smaller than letters can be read; figures keep their sizes to each other."""
    pixels = int.from_bytes(png[16:20], "big")  # the width in a PNG's header
    inches = pixels / DPI
    return f"width: 100%; min-width: {SMALLEST * inches:.1f}rem; max-width: {LARGEST * inches:.1f}rem"


def _carried(sections: Sequence[Section], scripts: Mapping[str, str], demonstration: bool) -> Iterator[str]:
    """What the script may ask for, packed, and the script itself; nothing where there is nothing to ask for."""
    wanted: dict[str, str] = {}
    for section in sections:
        for picture in section.pictures:
            if picture.plot is not None and "plotly" in scripts:
                wanted["plotly"] = scripts["plotly"]
                wanted[f"plot-{picture.name}"] = _plot(picture.plot, demonstration)
        if section.data:
            wanted["chemiscope"] = scripts["chemiscope"]
            wanted |= section.data
    for name, text in wanted.items():
        yield f'<script type="text/plain" id="packed-{name}">{packed(text)}</script>'
    if wanted:
        yield f"<script>\n{_own('page.js')}</script>"


def _plot(plot: Mapping[str, Any], demonstration: bool) -> str:
    """As JSON; a demonstration says so in the plot too."""
    layout = dict(plot["layout"])
    if demonstration:
        layout["title"] = {"text": DISCLAIMER, "x": 0.99, "xanchor": "right", "font": {"size": 13, "color": "#8a1c1c"}}
        layout["margin"] = {**layout["margin"], "t": 36}
    return json.dumps({"data": plot["data"], "layout": layout}, separators=(",", ":"), allow_nan=False)


def _own(name: str) -> str:
    return files("jaxft.report").joinpath(name).read_text(encoding="utf-8")
