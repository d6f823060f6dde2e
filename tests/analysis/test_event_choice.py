"""Which events are checked first."""

import numpy as np

from jaxft.analysis.event import (
    BOND_BROKEN,
    COORDINATION_CHANGE,
    LIGAND_EXCHANGE,
    PROTON_TRANSFER,
    RUNAWAY_TEMPERATURE,
    Event,
)
from jaxft.analysis.event_choice import Chosen, choose_events
from jaxft.analysis.event_record import RunEvents, events_record
from jaxft.analysis.events import EventSettings, find_events
from jaxft.analysis.frames import Frames

NOTHING = find_events(
    Frames(np.zeros((1, 1, 3)), np.eye(3) * 9, np.ones(3, bool), np.array([8]), 10.0), EventSettings()
)


def event(kind, atoms=(), elements=()):
    return Event(kind, 0.0, 0, 0, 0, atoms, elements, None, None, None, "")


def record(*runs):
    reports = [type(NOTHING)(**{**vars(NOTHING), "events": events}) for events in runs]
    of_runs = [RunEvents("FT1", "test", k, 0.0, report, (), ()) for k, report in enumerate(reports)]
    return events_record(tuple(of_runs))


def test_the_gravest_come_first():
    events = (
        event(LIGAND_EXCHANGE, (1, 2, 3), ("Li", "O", "O")),
        event(COORDINATION_CHANGE, (1, 2), ("Li", "Cl")),
        event(RUNAWAY_TEMPERATURE),
        event(LIGAND_EXCHANGE, (0, 2, 3), ("Co", "O", "O")),
        event(COORDINATION_CHANGE, (0, 2), ("Co", "Cl")),
        event(BOND_BROKEN, (9, 8), ("H", "O")),
    )
    assert [chosen.number for chosen in choose_events(record(events), 10)] == [4, 5, 2, 3, 1, 0]


def test_the_first_of_every_run_before_the_second_of_any_and_never_too_many():
    broken = [event(BOND_BROKEN, (k, 8), ("H", "O")) for k in range(3)]
    runs = record(tuple(broken), (), tuple(broken[:1]))
    assert choose_events(runs, 3) == (Chosen(0, 0), Chosen(2, 0), Chosen(0, 1))
    assert len(choose_events(runs, 99)) == 4
    assert choose_events(record((), ()), 3) == ()


def test_a_proton_that_goes_to_and_fro_is_asked_about_once():
    there, back = (event(PROTON_TRANSFER, atoms, ("H", "O", "O")) for atoms in ((5, 1, 2), (5, 2, 1)))
    other = event(PROTON_TRANSFER, (7, 1, 2), ("H", "O", "O"))
    assert [chosen.number for chosen in choose_events(record((there, back, there, other)), 4)] == [0, 3, 1, 2]
