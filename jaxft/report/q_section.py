"""Q residuals: along every test, with the limits and how often these alarm where nothing is wrong."""

from collections.abc import Iterator
from typing import Any

from jaxft.analysis.q_model import ENOUGH_FRAMES
from jaxft.analysis.q_record import CHECKS, QRecord, Timeline
from jaxft.analysis.wording import in_ps, number, percent
from jaxft.report.csv_text import csv_text
from jaxft.report.event_section import event_times
from jaxft.report.false_alarm_figure import KINDS, false_alarm_figure
from jaxft.report.html import folded, paragraph, table
from jaxft.report.picture import Picture
from jaxft.report.plots import q_plot
from jaxft.report.q_figure import EventTimes, q_figure
from jaxft.report.records import Records
from jaxft.report.section import Section
from jaxft.report.style import png


def q_section(records: Records) -> Section | None:
    """None without ``qresidual.json``."""
    record = records.q
    if record is None:
        return None
    blocks: list[str | Picture] = [paragraph(text, "notice") for text in _notices(record)]
    blocks += _pictures(record, records.residuals.demonstration, event_times(records.events))
    blocks.append(folded("Alarms", _alarms(record)))
    blocks.append(folded("Limits and their false alarms", _limits(record)))
    return Section(
        "Where a model leaves what it was trained on",
        tuple(blocks),
        {"q_timelines.csv": _timelines_csv(record), "q_limits.csv": _limits_csv(record)},
    )


def _notices(record: QRecord) -> list[str]:
    said = [f"No Q model of {m.name} by {m.descriptors} descriptors: {m.why}." for m in record.models if m.why]
    few = [f"{m.name} {number(m.calibration_effective)}" for m in record.models if m.why is None and not m.enough]
    if few:
        said.append(
            f"Limits should rest on at least {ENOUGH_FRAMES} independent unlabelled frames; they rest on fewer for "
            f"{', '.join(dict.fromkeys(few))}. Alarms of these are provisional."
        )
    return said


def _pictures(record: QRecord, demonstration: bool, events: EventTimes) -> list[Picture]:
    rate = percent(record.nominal_rate)
    found = []
    figure = q_figure(record, demonstration, events)
    if figure is not None:
        found.append(
            Picture(
                "q_timeline",
                png(figure),
                f"Largest Q over its element's limit of each frame (descriptors of the base, layers: {record.layers}). Dashed: "
                f"the largest that {rate} of the calibration frames exceed, or the rarest rate that so few frames allow. An "
                f"alarm begins with {CHECKS} frames in a row above it. An alarm says that the model is where its labels were "
                "not; whether it is wrong there, see the next section. Ticks at the bottom: events, in the colour of their seed.",
                "Largest Q over limit against time, a panel for each model, with the limit and the beginnings of alarms.",
                q_plot(record),
            )
        )
    figure = false_alarm_figure(record, demonstration)
    if figure is not None:
        found.append(
            Picture(
                "false_alarms",
                png(figure),
                f"Measured share of calibration atoms above each kind of limit; dashed: the {rate} that it promises. The "
                "empirical limit was set on the first half of the frames and measured on the second. Frames of one run are "
                "not independent, so these rates have no error bar.",
                "Rates of false alarms of three kinds of limit, for each model and element.",
            )
        )
    return found


def _alarms(record: QRecord) -> str:
    symbols = record.atom_symbols
    rows = []
    for model in record.models:
        for line in model.timelines:
            atom = line.atom[line.times_fs.index(line.alarm_fs)] if line.alarm_fs in line.times_fs else None
            who = "–" if atom is None else f"{symbols[atom]} {atom}" if 0 <= atom < len(symbols) else str(atom)
            at = "none" if line.alarm_fs is None else number(in_ps(line.alarm_fs))
            largest = number(max(line.largest)) if line.largest else "–"
            rows.append(
                (model.name, str(line.seed), at, who, largest, number(model.frame_limit), _causes(line, symbols))
            )
    heads = [
        ("model", ""),
        ("seed", ""),
        ("alarm", "ps"),
        ("by", ""),
        ("largest Q/limit", ""),
        ("limit", ""),
        ("whose it is, and which neighbors cause it", "share of the gradient"),
    ]
    return table(heads, rows, words=("by", "whose it is, and which neighbors cause it"))


def _causes(line: Timeline, symbols: tuple[str, ...]) -> str:
    """Whose the largest Q/limit of the run is, and the neighbors that cause it most."""
    if line.peak is None:
        return "–"
    who = f"{symbols[line.peak.atom]} {line.peak.atom}" if 0 <= line.peak.atom < len(symbols) else str(line.peak.atom)
    parts = ", ".join(f"{c.element} {c.atom} at {number(c.distance)} Å ({percent(c.share)})" for c in line.peak.causes)
    return f"{who} at {number(in_ps(line.peak.time_fs))} ps" + (f": {parts}" if parts else "")


def _limits(record: QRecord) -> str:
    heads = [
        ("model", ""), ("descriptors", ""), ("element", ""), ("components", "of columns"), ("variance kept", ""),
        ("limit of Q", ""),
        ("its rate", ""), ("Jackson–Mudholkar", ""), *((f"false alarms, {words}", "") for words in KINDS.values()),
        ("frames", "independent"),
    ]  # fmt: skip
    rows = [
        (
            model.name, model.descriptors, symbol, f"{e.retained} of {e.columns}", percent(e.explained), number(e.limit),
            percent(e.rate), number(e.textbook), *(percent(e.false_alarms.get(kind)) for kind in KINDS),
            number(model.calibration_effective),
        )
        for model in record.models
        for symbol, e in model.elements.items()
    ]  # fmt: skip
    return table(heads, rows)


def _limits_csv(record: QRecord) -> str:
    columns = [
        "model", "strategy", "labels", "descriptors", "element", "columns", "retained", "explained", "limit", "rate", "limit_atoms",
        "jackson_mudholkar_limit", "t2_limit", *(f"false_alarms_{kind.replace(' ', '_')}" for kind in KINDS),
        "calibration_frames", "calibration_effective", "frame_limit", "frame_rate",
    ]  # fmt: skip
    rows = (
        [
            m.name, m.strategy, m.budget, m.descriptors, symbol, e.columns, e.retained, e.explained, e.limit, e.rate, e.limit_atoms,
            e.textbook, e.t2_limit, *(e.false_alarms.get(kind) for kind in KINDS), m.calibration_frames, m.calibration_effective,
            m.frame_limit, m.frame_rate,
        ]
        for m in record.models
        for symbol, e in m.elements.items()
    )  # fmt: skip
    return csv_text(columns, rows)


def _timelines_csv(record: QRecord) -> str:
    def rows() -> Iterator[list[Any]]:
        for model in record.models:
            for line in model.timelines:
                for time, largest, atom, share in zip(line.times_fs, line.largest, line.atom, line.share, strict=True):
                    yield [model.name, line.seed, in_ps(time), largest, atom, share]

    return csv_text(["model", "seed", "time_ps", "largest_q_over_limit", "atom", "share_above"], rows())
