"""Small pieces of HTML, everything escaped: paragraphs, lists, tables that scroll, and what is folded away."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import Any


def paragraph(text: str, kind: str = "") -> str:
    """A paragraph, with a class where one is named."""
    return f"<p{_class(kind)}>{escape(text)}</p>"


def bullets(texts: Iterable[str], kind: str = "") -> str:
    """An unordered list."""
    items = "".join(f"<li>{escape(text)}</li>\n" for text in texts)
    return f"<ul{_class(kind)}>\n{items}</ul>"


def folded(summary: str, body: str, shown: bool = False) -> str:
    """Folded away until asked for, or shown until folded. ``body``: HTML."""
    return f"<details{' open' if shown else ''}><summary>{escape(summary)}</summary>\n{body}\n</details>"


def table(heads: Sequence[tuple[str, str]], rows: Iterable[Sequence[str]], words: Collection[str] = ()) -> str:
    """A table that scrolls sideways. heads: heading and unit of each column; words: columns that are read, not compared."""
    kinds = [' class="words"' if name in words else "" for name, _ in heads]
    top = "".join(
        f'<th scope="col"{kind}>{escape(name)}<span class="unit">{escape(unit)}</span></th>'
        for kind, (name, unit) in zip(kinds, heads, strict=True)
    )
    body = "".join(
        "<tr>" + "".join(f"<td{kind}>{escape(cell)}</td>" for kind, cell in zip(kinds, row, strict=True)) + "</tr>\n"
        for row in rows
    )
    return f'<div class="scroll"><table><thead><tr>{top}</tr></thead>\n<tbody>\n{body}</tbody></table></div>'


def listing(values: Mapping[str, Any]) -> str:
    """Names and values, nested ones with their path."""
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(text)}</td></tr>\n' for name, text in _flat(values)
    )
    return f'<div class="scroll"><table class="settings">\n{rows}</table></div>'


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""


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
