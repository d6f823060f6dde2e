"""``evaluation/events.json``: what happened chemically in the tests and in production, run by run."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jaxft.analysis.events import EventReport
from jaxft.analysis.result_file import read_result, write_result

FORMAT, VERSION = "jaxft-events", 1

LEAST_EVENTS = 10
"""Below it a lead time is an anecdote (protocol 6)."""


@dataclass(frozen=True)
class RunEvents:
    """Of one run.

    kind       test or production
    start_fs   what lies before it is equilibration; times of events count from the start of the trajectory
    report     what was found
    leads_fs   for each event, how long before it the first alarm of Q had come, negative where it came after; None where there
               was no alarm, or Q was not followed
    snapshots  for each event the file with frames before, at and after it, under ``evaluation/events``; only the first ones
               have one
    """

    model: str
    kind: str
    seed: int
    start_fs: float
    report: EventReport
    leads_fs: tuple[float | None, ...]
    snapshots: tuple[str | None, ...]


@dataclass(frozen=True)
class EventsRecord:
    """All runs. lead_fs: median lead over all events that an alarm preceded; None with fewer than ten events."""

    runs: tuple[RunEvents, ...]
    lead_fs: float | None
    why_no_lead: str | None


def events_record(runs: tuple[RunEvents, ...]) -> EventsRecord:
    """With the lead time, where there are enough events to speak of one."""
    n = sum(len(run.report.events) for run in runs)
    leads = [lead for run in runs for lead in run.leads_fs if lead is not None and lead > 0.0]
    if n < LEAST_EVENTS:
        return EventsRecord(runs, None, f"{n} events; a lead time is given from {LEAST_EVENTS} on")
    if not leads:
        return EventsRecord(runs, None, f"no alarm came before any of the {n} events")
    return EventsRecord(runs, float(np.median(leads)), None)


def write_events(path: str | Path, record: EventsRecord) -> None:
    """Write ``events.json`` atomically."""
    write_result(path, FORMAT, VERSION, record)


def read_events(path: str | Path) -> EventsRecord:
    """Read it back. Raises InputError as ``read_result`` does."""
    return read_result(path, FORMAT, VERSION, EventsRecord)
