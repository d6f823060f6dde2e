"""One page that opens anywhere: no network, no scripts, figures inside it, readable on a phone and in print."""

import base64
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from jaxft.analysis.residuals import Residuals
from jaxft.report.figures import Picture
from jaxft.report.formatting import DISCLAIMER
from jaxft.report.rows import COLUMNS, notices, scores_table

STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #1b1b1b; background: #fff; max-width: 62rem; margin: 0 auto;
  padding: 1rem; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0.5rem 0; }
h2 { font-size: 1.15rem; margin: 2rem 0 0.5rem; }
.demonstration { border-left: 0.3rem solid #8a1c1c; background: #fbeeee; color: #701515; padding: 0.5rem 0.8rem; }
.notice { border-left: 0.3rem solid #8a6d1c; background: #fbf6e6; padding: 0.5rem 0.8rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 0.3rem 0.7rem; text-align: right; white-space: nowrap; border-bottom: 1px solid #ddd; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
thead th { border-bottom: 1.5px solid #444; vertical-align: bottom; font-weight: 600; }
.unit { display: block; font-weight: 400; color: #555; font-size: 0.85em; }
.settings th { font-weight: 400; color: #555; white-space: normal; }
.settings td { text-align: left; white-space: normal; overflow-wrap: anywhere; }
figure { margin: 1rem 0; }
figure img { width: 100%; min-width: 34rem; max-width: 54rem; height: auto; }
figcaption, .notes { color: #444; font-size: 0.9rem; }
.notes { list-style: none; padding: 0; }
""".strip()


def page(result: Residuals, figures: Sequence[Picture], run_record: Mapping[str, Any] | None = None) -> str:
    """The report as HTML; ``run_record``: what ``record.json`` holds (versions, hardware, seeds)."""
    title = "Which model can be trusted in its own dynamics"
    body = [f"<h1>{title}</h1>"]
    if result.demonstration:
        body.append(f'<p class="demonstration"><strong>{DISCLAIMER}</strong></p>')
    body += [f'<p class="notice">{escape(text)}</p>' for text in notices(result)]
    body += [_figure(picture) for picture in figures]
    if result.models:
        body += ["<h2>Scores</h2>", _scores(result)]
    for heading, values in (("Settings", result.settings), ("Run", run_record or {})):
        if values:
            body += [f"<h2>{heading}</h2>", _settings(values)]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>\n{STYLE}\n</style>\n</head>\n<body>\n"
        + "\n".join(body)
        + "\n</body>\n</html>\n"
    )


def _figure(picture: Picture) -> str:
    data = base64.b64encode(picture.data).decode("ascii")
    return (
        f'<figure><div class="scroll"><img src="data:image/png;base64,{data}" alt="{escape(picture.alternative)}"></div>'
        f"<figcaption>{escape(picture.caption)}</figcaption></figure>"
    )


def _scores(result: Residuals) -> str:
    table = scores_table(result)
    heads = "".join(
        f'<th scope="col">{escape(column.heading)}<span class="unit">{escape(column.unit)}</span></th>'
        for column in COLUMNS
    )
    rows = "".join(
        "<tr>"
        + "".join(f"<td>{escape(cell.text)}{f'<sup>{cell.marks}</sup>' if cell.marks else ''}</td>" for cell in row)
        + "</tr>\n"
        for row in table.rows
    )
    notes = "".join(f"<li><sup>{letter}</sup> {escape(note)}</li>\n" for letter, note in table.footnotes.items())
    return (
        f'<div class="scroll"><table><thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}</tbody></table></div>\n'
        f'<ul class="notes">\n{notes}</ul>'
    )


def _settings(values: Mapping[str, Any]) -> str:
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(text)}</td></tr>\n' for name, text in _flat(values)
    )
    return f'<div class="scroll"><table class="settings">\n{rows}</table></div>'


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        name = f"{prefix}{key}".replace("_", " ")
        if isinstance(value, Mapping):
            yield from _flat(value, f"{name} · ")
        elif isinstance(value, list | tuple) and value and all(isinstance(item, Mapping) for item in value):
            for number, item in enumerate(value, start=1):
                yield from _flat(item, f"{name} {number} · ")
        elif isinstance(value, list | tuple):
            yield name, ", ".join(str(item) for item in value)
        else:
            yield name, "–" if value is None else str(value)
