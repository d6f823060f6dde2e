"""Which numbers tell whether an event has been undone: distances of the pairs that it changed, or the temperature.

Each number has a side that it was on before the event, and two limits between its sides: those of the bond (a gap between them),
of a close contact, or of the temperature (one limit for both). What its course means is ``event_check.py``'s part.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from ase import Atoms
from jaxtyping import Float

from jaxft.analysis.bond_limits import PairLimits
from jaxft.analysis.bonding import Pair
from jaxft.analysis.close_contacts import contact_limits
from jaxft.analysis.event import CLOSE_CONTACT, RUNAWAY_TEMPERATURE, Event
from jaxft.analysis.events import EventReport
from jaxft.analysis.frames import inverses
from jaxft.analysis.pair_distances import pair_distances
from jaxft.errors import InputError

BONDED = "bonded"
APART = "apart"
IN_CONTACT = "in contact"
COOL = "cool"
HOT = "hot"
BETWEEN = "between"
"""On neither side, or not for long enough."""


@dataclass(frozen=True)
class Quantity:
    """A distance or the temperature.

    name      the pair with the center first, like "H6-O5"; or "temperature"
    pair      the two atoms and the image of the second; None for the temperature
    low       below it the quantity is on the first side; Å, or K
    high      above it on the second one; in between, and where both are equal, as it was
    sides     what both are called: ("bonded", "apart")
    was       the one before the event
    """

    name: str
    pair: Pair | None
    low: float
    high: float
    sides: tuple[str, str]
    was: str


def quantities_of(event: Event, report: EventReport, before: Atoms, at: Atoms) -> tuple[Quantity, ...]:
    """What to follow of an event, bonds that broke before bonds that formed.

    report: where the event is from; before, at: its snapshots, unwrapped, from which the images are told. Raises InputError
    where the report has no limits for a pair of the event, so that both can't belong together.
    """
    if event.kind == RUNAWAY_TEMPERATURE:
        limit = report.settings.max_temperature
        return (Quantity("temperature", None, limit, limit, (COOL, HOT), COOL),)
    if event.kind == CLOSE_CONTACT:
        kinds = np.unique(at.numbers, return_inverse=True)[1]
        i, j = event.atoms
        limit = float(contact_limits(at.numbers, report.settings.close_contact)[kinds[i], kinds[j]])
        return (_distance(event, j, limit, limit, (IN_CONTACT, APART), APART, before, at),)
    others = event.atoms[1:]
    limits = [_limits(event.elements[0], element, report.limits) for element in event.elements[1:]]
    was: tuple[str, ...] = (BONDED, APART)
    if len(others) == 1:
        # a change is found where the distance is beyond one of the limits
        assert event.distance is not None
        was = (APART,) if event.distance < limits[0].middle else (BONDED,)
    return tuple(
        _distance(event, other, pair.form, pair.broken, (BONDED, APART), side, before, at)
        for other, pair, side in zip(others, limits, was, strict=True)
    )


def values_along(
    quantity: Quantity,
    positions: Float[np.ndarray, "frames atoms 3"],
    cell: Float[np.ndarray, "3 3"],
    temperatures: Float[np.ndarray, "frames"],
) -> Float[np.ndarray, "frames"]:
    """The quantity in each frame: Å on unwrapped positions, or K."""
    if quantity.pair is None:
        return np.asarray(temperatures, dtype=np.float64)
    i, j, n = quantity.pair
    return pair_distances(positions, np.asarray(cell)[None], np.array([[i, j, *n]]))[:, 0]


def _limits(a: str, b: str, limits: Sequence[PairLimits]) -> PairLimits:
    for pair in limits:
        if pair.elements in ((a, b), (b, a)):
            return pair
    raise InputError(f"an event is about {a} and {b}, whose bonds its report does not follow; look for events again")


def _distance(
    event: Event, other: int, low: float, high: float, sides: tuple[str, str], was: str, before: Atoms, at: Atoms
) -> Quantity:
    """The distance of the center and another atom, of the image whose bond changed.

    It is bonded (or in contact) in one of the snapshots: before, if the bond broke, else at the event. Of several such images
    (in a box hardly larger than a bond) it is the one that is furthest in the other snapshot.
    """
    center = event.atoms[0]
    cells = np.stack([before.cell.array, at.cell.array])
    near = 0 if was == BONDED else 1
    there = (before, at)[near]
    pbc = np.asarray(there.pbc, dtype=bool)
    scaled = (there.positions[other] - there.positions[center]) @ inverses(cells[near : near + 1], pbc)[0]
    turns = -np.where(pbc, np.round(scaled), 0.0).astype(int)
    around = product(*((-1, 0, 1) if periodic else (0,) for periodic in pbc))
    images = [tuple((turns + shift).tolist()) for shift in np.array(list(around))]
    images = [n for n in images if center != other or any(n)]
    pairs = np.array([[center, other, *n] for n in images])
    distances = pair_distances(np.stack([before.positions, at.positions]), cells, pairs)
    close = distances[near] < high
    chosen = np.where(close, distances[1 - near], -1.0).argmax() if close.any() else distances[near].argmin()
    name = "-".join(f"{at.symbols[k]}{k}" for k in (center, other))
    return Quantity(name, Pair(center, other, images[int(chosen)]), low, high, sides, was)
