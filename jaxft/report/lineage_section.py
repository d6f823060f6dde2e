"""The lineage of the models: parents, labels, hashes, so that any stage can be rebuilt."""

from collections.abc import Sequence

from jaxft.analysis.wording import number
from jaxft.report.csv_text import csv_text
from jaxft.report.html import folded, table
from jaxft.report.lineage import Descent
from jaxft.report.lineage_figure import lineage_figure
from jaxft.report.picture import Picture
from jaxft.report.records import Records
from jaxft.report.section import Section
from jaxft.report.style import png

LETTERS = 10
"""Of a hash, on the page; the CSV file has all."""


def lineage_section(records: Records) -> Section | None:
    """None without models."""
    models = records.lineage
    figure = lineage_figure(models)
    if figure is None:
        return None
    picture = Picture(
        "lineage",
        png(figure),
        "Which weights each model started from, and how many labels it was trained on.",
        "A tree from the base to every fine-tuned model.",
    )
    blocks = (picture, folded("Parents, labels and hashes", _table(models)))
    return Section("Lineage", blocks, {"lineage.csv": _csv(models)})


def _table(models: Sequence[Descent]) -> str:
    heads = [
        ("model", ""), ("strategy", ""), ("parent", ""), ("labels", ""), ("independent", "labels"), ("updates", "kept of done"),
        ("labels", "SHA-256"), ("weights", "SHA-256"), ("parent's weights", "SHA-256"), ("ended early", ""),
    ]  # fmt: skip
    rows = [
        (
            m.name, m.strategy, m.parent, str(m.labels), number(m.n_effective), f"{m.best} of {m.updates}",
            m.labels_hash[:LETTERS], m.weights_hash[:LETTERS], m.parent_hash[:LETTERS], m.failure or "no",
        )
        for m in models
    ]  # fmt: skip
    return table(heads, rows, words=("strategy", "parent", "weights", "parent's weights", "ended early"))


def _csv(models: Sequence[Descent]) -> str:
    columns = [
        "model", "strategy", "parent", "labels", "independent_labels", "updates", "kept_update", "labels_sha256", "weights_sha256",
        "parent_sha256", "base_sha256", "failure",
    ]  # fmt: skip
    rows = (
        [
            m.name, m.strategy, m.parent, m.labels, m.n_effective, m.updates, m.best, m.labels_hash, m.weights_hash, m.parent_hash,
            m.base_hash, m.failure,
        ]
        for m in models
    )  # fmt: skip
    return csv_text(columns, rows)
