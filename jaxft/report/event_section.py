"""What happened chemically in tests and production: counts, and every event with its atoms, its time and whether Q had warned."""

from collections.abc import Iterator
from typing import Any

from jaxft.analysis.event_check_record import EventChecks
from jaxft.analysis.event_record import EventsRecord, RunEvents
from jaxft.analysis.wording import in_ps, number
from jaxft.report.csv_text import csv_text
from jaxft.report.formatting import shown_name
from jaxft.report.html import folded, paragraph, table
from jaxft.report.records import Records
from jaxft.report.section import Section

NOTE = (
    "Events are what distances say, with hysteresis and persistence. Whether one is an artefact takes the reference: "
    "labels before, at and after it, and reference dynamics from its snapshot. No event in a time T means a rate below 3/T (95 %)."
)


def event_section(records: Records) -> Section | None:
    """None without ``events.json``."""
    record = records.events
    if record is None:
        return None
    asked = [_checks(records.checks)] if records.checks is not None else []
    blocks = (
        paragraph(NOTE),
        _counts(record),
        *asked,
        folded("Every event", _events(record)),
        folded("First shells of the metals", _shells(record)),
    )
    tables = {"events.csv": _csv(record)}
    if records.checks is not None:
        tables["event_checks.csv"] = _checks_csv(records.checks)
    return Section("What happened chemically", blocks, tables)


def event_times(record: EventsRecord | None) -> dict[tuple[str, int], list[float]]:
    """Of each test: times in fs from the end of its equilibration, by model and seed."""
    runs = [run for run in record.runs if run.kind == "test"] if record else []
    return {(run.model, run.seed): [event.time_fs - run.start_fs for event in run.report.events] for run in runs}


def _counts(record: EventsRecord) -> str:
    kinds = list(dict.fromkeys(event.kind for run in record.runs for event in run.report.events))
    heads = [("run", ""), ("seed", ""), ("length", "ps"), *((kind, "") for kind in kinds), ("note", "")]
    rows = [
        (
            *_run(run),
            number(in_ps(run.report.length_fs)),
            *(str(run.report.counts.get(kind, 0)) if run.report.why is None else "–" for kind in kinds),
            run.report.why or "",
        )
        for run in record.runs
    ]
    return table(heads, rows, words=("note",))


def _checks(checks: EventChecks) -> str:
    """What the reference said of the events that it was asked about."""
    heads = [("checked event", ""), ("time", "ps"), ("the reference says", ""), ("followed for", "fs"), ("why", "")]
    rows = [
        (
            f"{check.kind} of {shown_name(check.model)}, seed {check.seed}: {check.event.words}",
            number(in_ps(check.event.time_fs)),
            check.outcome,
            number(check.length_fs),
            check.why,
        )
        for check in checks.checks
    ]
    return paragraph(f"{checks.words[:1].upper()}{checks.words[1:]}.") + table(
        heads, rows, words=("the reference says", "why")
    )


def _checks_csv(checks: EventChecks) -> str:
    columns = ["run", "model", "seed", "event", "words", "outcome", "why", "reference_fs", "energy_drift_ev", "labels"]
    rows = (
        [c.kind, c.model, c.seed, c.event.kind, c.event.words, c.outcome, c.why, c.length_fs, c.drift, c.labels]
        for c in checks.checks
    )
    return csv_text(columns, rows)


def _shells(record: EventsRecord) -> str:
    heads = [("run", ""), ("seed", ""), ("atom", ""), ("at the start", ""), ("at the end", "")]
    rows = [
        (*_run(run), atom, start, run.report.shells_end.get(atom, "–"))
        for run in record.runs
        for atom, start in run.report.shells_start.items()
    ]
    return table(heads, rows, words=("atom", "at the start", "at the end"))


def _run(run: RunEvents) -> tuple[str, str]:
    return f"{run.kind} of {shown_name(run.model)}", str(run.seed)


def _events(record: EventsRecord) -> str:
    heads = [
        ("run", ""),
        ("seed", ""),
        ("time", "ps"),
        ("event", ""),
        ("what", ""),
        ("alarm before", "ps"),
        ("snapshots", ""),
    ]
    rows = [
        (
            *_run(run),
            number(in_ps(event.time_fs - run.start_fs)),
            event.kind,
            event.words,
            "no" if lead is None or lead <= 0.0 else number(in_ps(lead)),
            snapshot or "–",
        )
        for run in record.runs
        for event, lead, snapshot in zip(run.report.events, run.leads_fs, run.snapshots, strict=True)
    ]
    return table(heads, rows, words=("event", "what", "snapshots")) if rows else paragraph("There is none.")


def _csv(record: EventsRecord) -> str:
    def rows() -> Iterator[list[Any]]:
        for run in record.runs:
            for event, lead, snapshot in zip(run.report.events, run.leads_fs, run.snapshots, strict=True):
                atoms = " ".join(f"{element}{atom}" for element, atom in zip(event.elements, event.atoms, strict=True))
                time = in_ps(event.time_fs - run.start_fs)
                yield [
                    run.kind,
                    run.model,
                    run.seed,
                    time,
                    event.kind,
                    atoms,
                    event.distance,
                    event.words,
                    in_ps(lead),
                    snapshot,
                ]

    columns = ["run", "model", "seed", "time_ps", "kind", "atoms", "distance_angstrom", "words", "lead_ps", "snapshots"]
    return csv_text(columns, rows())
