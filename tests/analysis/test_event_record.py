"""Does Q warn of events more often than by chance? On runs of which it is known."""

import numpy as np
import pytest

from jaxft.analysis.event_record import RunEvents, Watched, events_record
from jaxft.analysis.events import EventSettings, find_events
from jaxft.analysis.frames import Frames


def run_with(events, leads):
    """A run whose report has so many events; only their number matters here."""
    empty = find_events(
        Frames(np.zeros((1, 1, 3)), 9.0 * np.eye(3), np.ones(3, bool), np.array([1]), 10.0), EventSettings()
    )
    report = type(empty)(**{**vars(empty), "events": (None,) * events})
    return RunEvents("FT1", "test", 0, 0.0, report, tuple(leads), (None,) * events)


def test_fewer_than_ten_events_are_an_anecdote():
    record = events_record((run_with(9, [50.0] * 9),))
    assert record.lead_fs is None
    assert record.why_no_lead.startswith("9 events")


def test_warnings_before_every_event_stand_beside_chance():
    events = np.arange(50, 1000, 100)
    above = np.zeros(1000, dtype=bool)
    above[events - 5] = True
    record = events_record((run_with(10, [50.0] * 10),), [Watched(above, 10.0, events)])
    assert (record.lead_fs, record.warned) == (50.0, 1.0)
    assert record.by_chance == pytest.approx(0.1)


def test_an_alarm_that_never_ends_warns_of_nothing():
    record = events_record(
        (run_with(10, [300.0] * 10),), [Watched(np.ones(500, dtype=bool), 10.0, np.arange(20, 220, 20))]
    )
    assert record.warned == 1.0
    assert record.by_chance == pytest.approx(1.0, abs=0.01)


def test_the_event_itself_is_no_warning():
    above = np.zeros(100, dtype=bool)
    above[50:] = True
    record = events_record((run_with(10, [None] * 10),), [Watched(above, 10.0, np.full(10, 50))])
    assert record.warned == 0.0
    assert record.why_no_lead == "no alarm came before any of the 10 events"
