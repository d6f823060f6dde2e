"""Which events are worth reference dynamics, where not all can be had: the gravest first, a few of each run before many of one."""

from collections import Counter
from typing import NamedTuple

from jaxft.analysis.event import (
    BOND_BROKEN,
    BOND_FORMED,
    CLOSE_CONTACT,
    COORDINATION_CHANGE,
    LIGAND_EXCHANGE,
    PROTON_TRANSFER,
    Event,
)
from jaxft.analysis.event_record import EventsRecord

LOOSE = frozenset({"Li", "Na", "K", "Rb", "Cs", "Ca", "Sr", "Ba"})
"""Cations whose ligands come and go within a nanosecond or less: alkali metals and heavy alkaline earths."""


class Chosen(NamedTuple):
    """An event by its place: the run in ``EventsRecord.runs`` and the event in its report, both counted from 0."""

    run: int
    number: int


def choose_events(record: EventsRecord, at_most: int) -> tuple[Chosen, ...]:
    """The events to check, the most important first; fewer where there are fewer.

    First by gravity (``gravity``); then those that happen to these atoms for the first time in their run, since a proton that
    goes to and fro is one question; then the first ones of every run, since later ones may follow from them.
    """
    ranked = []
    for place, run in enumerate(record.runs):
        seen: Counter[tuple[str, frozenset[int]]] = Counter()
        of_gravity: Counter[tuple[int, int]] = Counter()
        for number, event in enumerate(run.report.events):
            what = (event.kind, frozenset(event.atoms))
            rank = (gravity(event), seen[what])
            ranked.append((*rank, of_gravity[rank], place, number))
            seen[what] += 1
            of_gravity[rank] += 1
    return tuple(Chosen(*rank[-2:]) for rank in sorted(ranked)[:at_most])


def gravity(event: Event) -> int:
    """0 is the gravest.

    0  covalent bonds broken or formed, protons transferred, close contacts, coordination changes of metals
    1  ligand exchange at metals, runaway temperature
    2  coordination changes of ``LOOSE`` cations
    3  ligand exchange at these: in a solution of lithium it goes on all the time
    """
    if event.kind in (BOND_BROKEN, BOND_FORMED, PROTON_TRANSFER, CLOSE_CONTACT):
        return 0
    if event.kind not in (COORDINATION_CHANGE, LIGAND_EXCHANGE):
        return 1
    exchange = event.kind == LIGAND_EXCHANGE
    return 2 * int(event.elements[0] in LOOSE) + int(exchange)
