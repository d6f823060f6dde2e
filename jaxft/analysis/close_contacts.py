"""Atoms that come too close: below a share of the sum of their covalent radii, where no chemistry is meant to be.

A collision is over in less than the 50 fs that a bond must last, and a guard may stop the run in it. A contact therefore
counts however short it is; visits with less than that time between them are one contact.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from ase.data import covalent_radii
from jaxtyping import Float, Int

from jaxft.analysis.bonding import Pair
from jaxft.analysis.event import CLOSE_CONTACT, Clock, Event
from jaxft.analysis.pair_distances import Segment


class Contact(NamedTuple):
    """A visit: first and last frame below the limit, the shortest distance in Å."""

    pair: Pair
    first: int
    last: int
    shortest: float


def contact_limits(numbers: Int[np.ndarray, "atoms"], share: float) -> Float[np.ndarray, "elements elements"]:
    """``share`` of the sum of covalent radii in Å, in the order of ``np.unique(numbers)``."""
    radii = covalent_radii[np.unique(numbers)]
    return share * (radii[:, None] + radii[None, :])


def follow_contacts(
    still: Mapping[Pair, Contact],
    segment: Segment,
    kinds: Int[np.ndarray, "atoms"],
    limits: Float[np.ndarray, "elements elements"],
    apart: int,
) -> tuple[dict[Pair, Contact], list[Contact]]:
    """Contacts that may go on, and those that ended: no closer than the limit for ``apart`` frames.

    kinds: row of each atom in ``limits``, which are at most the reach of the segment.
    """
    bound = limits[kinds[segment.pairs[:, 0]], kinds[segment.pairs[:, 1]]]
    below = segment.distances < bound
    going, ended = dict(still), []
    for k in np.flatnonzero(below.any(axis=0)).tolist():
        i, j, *n = segment.pairs[k].tolist()
        pair = Pair(i, j, (n[0], n[1], n[2]))
        for row in np.flatnonzero(below[:, k]).tolist():
            frame, distance = segment.start + row, float(segment.distances[row, k])
            contact = going.get(pair)
            if contact is not None and frame - contact.last > apart:
                ended.append(contact)
                contact = None
            if contact is None:
                contact = Contact(pair, frame, frame, distance)
            going[pair] = contact._replace(last=frame, shortest=min(distance, contact.shortest))
    end = segment.start + len(segment.distances)
    over = [pair for pair, contact in going.items() if end - contact.last > apart]
    ended += [going.pop(pair) for pair in over]
    return going, ended


def contact_event(contact: Contact, symbols: tuple[str, ...], clock: Clock) -> Event:
    """A contact as an event, at its first frame."""
    i, j, first = contact.pair.i, contact.pair.j, contact.first
    lasted = (contact.last - first) * clock.frame_fs
    return Event(
        kind=CLOSE_CONTACT,
        time_fs=clock.time_fs(first),
        frame=first,
        frame_before=max(clock.first, first - 1),
        frame_after=min(clock.last, contact.last + 1),
        atoms=(i, j),
        elements=(symbols[i], symbols[j]),
        distance=contact.shortest,
        temperature=None,
        change=None,
        words=f"{symbols[i]}{i} and {symbols[j]}{j} came as close as {contact.shortest:.2f} Å, for {lasted:g} fs",
    )
