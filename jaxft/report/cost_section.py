"""What the run cost: labels for training and for evaluation apart, updates, steps of dynamics, wall time."""

from jaxft.analysis.costs import LabelCost, steps_of
from jaxft.analysis.wording import PICOSECOND, number
from jaxft.report.cost_records import read_label_costs, read_wall_times
from jaxft.report.csv_text import csv_text
from jaxft.report.html import paragraph, table
from jaxft.report.records import Records
from jaxft.report.section import Section

HOUR = 3600.0

Row = tuple[str, str, int | None, int | None, float | None, float | None]
"""What, for what, how many, how many of them with known times, CPU hours, wall hours."""

HEADS = (("what", ""), ("for", ""), ("number", ""), ("timed", "of them"), ("CPU", "h"), ("wall", "h"))

NOTE = (
    "Label times are those of the calculations, whoever paid for them first; one label that serves several models counts once. "
    "Wall times are those of steps that the log has as finished; what an interruption cut off, and starting up, is not in them."
)


def cost_section(records: Records) -> Section | None:
    """None where the run left no configuration."""
    if not records.configuration:
        return None
    costs, why = read_label_costs(records)
    walls = read_wall_times(records.root)
    rows: list[Row] = [_label_row(cost) for cost in costs] + _counts(records)
    rows += [("wall time", kind, None, None, None, seconds / HOUR) for kind, seconds in walls.items()]
    if walls:
        rows.append(("wall time", "all", None, None, None, sum(walls.values()) / HOUR))
    blocks = [paragraph(f"What labels cost is not known: {why}.", "notice")] if why else []
    blocks += [
        table(HEADS, [(what, purpose, *map(_cell, numbers)) for what, purpose, *numbers in rows], words=("for",)),
        paragraph(NOTE, "notes"),
    ]
    return Section(
        "Costs", tuple(blocks), {"costs.csv": csv_text(["what", "for", "number", "timed", "cpu_h", "wall_h"], rows)}
    )


def _cell(value: float | None) -> str:
    if isinstance(value, int):
        return str(value)
    return "" if value is None else number(value)


def _label_row(cost: LabelCost) -> Row:
    known = cost.timed > 0
    return (
        "labels",
        cost.purpose,
        cost.labels,
        cost.timed,
        cost.cpu_s / HOUR if known else None,
        cost.wall_s / HOUR if known else None,
    )


def _counts(records: Records) -> list[Row]:
    rows: list[Row] = []
    md = records.configuration.get("md") or {}
    if {"timestep_fs", "equilibrate_ps"} <= set(md) and records.residuals.models:
        steps = steps_of(records.residuals, float(md["timestep_fs"]), PICOSECOND * float(md["equilibrate_ps"]))
        rows.append(("steps of dynamics", "sampling", steps.sampling, None, None, None))
        rows.append(("steps of dynamics", "tests", steps.tests, None, None, None))
    updates = [model.updates for model in records.lineage if model.updates is not None]
    if updates:
        rows.append(("updates", "fine-tuning", sum(updates), None, None, None))
    return rows
