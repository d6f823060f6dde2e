"""``evaluation/events.json``: what happened chemically in the tests and in production, run by run."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int

from jaxft.analysis.events import EventReport
from jaxft.analysis.result_file import read_result, write_result

FORMAT, VERSION = "jaxft-events", 1

WINDOW_FS = 100.0
"""Before an event; a warning is to come in it."""

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
    """All runs, and whether Q warned of their events.

    lead_fs    median lead over all events that an alarm preceded; None with fewer than ten events. An alarm that goes on from the
               start precedes everything, so it says little without the next two
    warned     share of events with a frame above the frame limit within ``WINDOW_FS`` before them
    by_chance  the same share for windows at every time of the same runs, each run weighing by its events: what a signal that
               knows nothing of the time would get
    """

    runs: tuple[RunEvents, ...]
    lead_fs: float | None
    why_no_lead: str | None
    warned: float | None = None
    by_chance: float | None = None


@dataclass(frozen=True, eq=False)
class Watched:
    """Of one run where Q was followed: which frames were above the frame limit, their spacing (fs), and frames of its events."""

    above: Bool[np.ndarray, "frames"]
    spacing_fs: float
    events: Int[np.ndarray, "events"]


def events_record(runs: tuple[RunEvents, ...], watched: Sequence[Watched] = ()) -> EventsRecord:
    """With the lead time and the share of events that were warned of, where there are enough events to speak of them."""
    n = sum(len(run.report.events) for run in runs)
    leads = [lead for run in runs for lead in run.leads_fs if lead is not None and lead > 0.0]
    if n < LEAST_EVENTS:
        return EventsRecord(runs, None, f"{n} events; a lead time is given from {LEAST_EVENTS} on")
    windows = [_warned(one) for one in watched]
    at_events = (
        np.concatenate([at[one.events] for at, one in zip(windows, watched, strict=True)]) if windows else np.zeros(0)
    )
    # each run weighs by its events: an alarm that is on in the very run in which most happens is no skill
    by_chance = sum(
        len(one.events) * float(at.mean()) for at, one in zip(windows, watched, strict=True) if len(one.events)
    )
    return EventsRecord(
        runs,
        float(np.median(leads)) if leads else None,
        None if leads else f"no alarm came before any of the {n} events",
        float(at_events.mean()) if len(at_events) else None,
        by_chance / len(at_events) if len(at_events) else None,
    )


def _warned(one: Watched) -> Bool[np.ndarray, "frames"]:
    """For each frame whether one of those within the window before it is above the limit."""
    length = max(1, round(WINDOW_FS / one.spacing_fs))
    count = np.concatenate([[0], np.cumsum(one.above)])
    start = np.maximum(np.arange(len(one.above)) - length, 0)
    return np.asarray(count[np.arange(len(one.above))] - count[start] > 0)


def write_events(path: str | Path, record: EventsRecord) -> None:
    """Write ``events.json`` atomically."""
    write_result(path, FORMAT, VERSION, record)


def read_events(path: str | Path) -> EventsRecord:
    """Read it back. Raises InputError as ``read_result`` does."""
    return read_result(path, FORMAT, VERSION, EventsRecord)
