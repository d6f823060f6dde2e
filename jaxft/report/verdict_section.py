"""The verdict, first on the page: each question with its answer, and what it rests on folded behind it."""

from jaxft.report.csv_text import csv_text
from jaxft.report.html import bullets, folded, paragraph
from jaxft.report.records import Records
from jaxft.report.section import Section

NONE_YET = "No verdict has been written yet; jaxft analyze writes it from the records that are there."


def verdict_section(records: Records) -> Section | None:
    """Always there: without a record it says so."""
    found = records.verdict
    if found is None:
        return Section("Verdict", (paragraph(NONE_YET),))
    blocks = []
    for number, finding in enumerate(found.findings):
        text = paragraph(finding.question, "question") + paragraph(
            f"{finding.answer[:1].upper()}{finding.answer[1:]}.", "answer"
        )
        if finding.sentences:
            text += folded("What this rests on", bullets(finding.sentences), shown=number == 0)
        blocks.append(f'<div class="finding">{text}</div>')
    if found.missing:
        blocks.append(paragraph(f"Not judged: {', '.join(found.missing)}."))
    rows = ([f.question, f.answer, name, value] for f in found.findings for name, value in f.numbers.items())
    return Section("Verdict", tuple(blocks), {"verdict.csv": csv_text(["question", "answer", "number", "value"], rows)})
