"""The scores table on the page, with its footnotes."""

from html import escape

from jaxft.analysis.residuals import Residuals
from jaxft.report.rows import COLUMNS, scores_table


def scores_html(result: Residuals) -> str:
    """A table that scrolls sideways, and notes below it."""
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
