"""Artefact or chemistry? What reference dynamics from the snapshot of an event says (protocol 8).

The reference undoes the event: an artefact. It keeps it: chemistry. It gives no label: unphysical. Anything else is undecided,
and said with its numbers: an artefact is only what has been shown to be one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from jaxft.analysis.bonding import hysteresis
from jaxft.analysis.event import PROTON_TRANSFER, RUNAWAY_TEMPERATURE
from jaxft.analysis.event_quantities import APART, BETWEEN, BONDED, COOL, HOT, IN_CONTACT, Quantity
from jaxft.labels.label import Reason

ARTEFACT = "artefact"
CHEMISTRY = "chemistry"
UNPHYSICAL = "unphysical"
UNDECIDED = "undecided"

OUTCOMES = (ARTEFACT, CHEMISTRY, UNPHYSICAL, UNDECIDED)

LENGTH_FS = 100.0
"""How long the reference runs on from the snapshot (protocol 8)."""

SETTLED_FS = 20.0
"""A bond that has been back for so long is back: two vibrations of a hydrogen. Atoms that parted must stay apart for the
persistence of events, because the outer half of a slow vibration lasts nearly as long."""

NO_ANSWER: frozenset[Reason] = frozenset({"timed out", "worker died", "not supported", "electron count"})
"""Failures that say something of the machine or of the settings, and nothing of the structure."""


class Verdict(NamedTuple):
    """What the check says: one of ``OUTCOMES``, and why."""

    outcome: str
    words: str


@dataclass(frozen=True)
class Followed:
    """A distance (Å) or the temperature (K) during the reference dynamics; see ``Quantity``.

    values  in each frame
    end     where it ended: the side that it was on before the event (undone), the other one (kept), or between
    words   the same with its numbers
    """

    name: str
    low: float
    high: float
    was: str
    end: str
    words: str
    values: tuple[float, ...]


def follow(
    quantity: Quantity,
    values: Float[np.ndarray, "frames"],
    times_fs: Float[np.ndarray, "frames"],
    persistence_fs: float,
) -> Followed:
    """Where a quantity ends that begins, at time 0, on the side which the event brought it to.

    A bond    bonded or apart by hysteresis, if it has been so for long enough: ``SETTLED_FS`` for bonded, the persistence for
              apart. Dynamics at constant energy makes a bond that comes back swing beyond both limits; atoms that are bonded
              twice with a time apart in between are bound, wherever the last swing stands. Neither, where it has been between
              the limits for as long as the persistence, or came too late.
    A contact in contact until it has been apart for the persistence: visits with less time between them are one contact.
    The temperature  cool where its mean over the last persistence is below the limit.
    """
    values = np.asarray(values, dtype=np.float64)
    last = times_fs >= times_fs[-1] - persistence_fs * (1.0 + 1e-9)
    if quantity.pair is None:
        mean = float(values[last].mean())
        end, words = COOL if mean < quantity.low else HOT, f"the temperature is {mean:.0f} K"
    elif quantity.sides == (IN_CONTACT, APART):
        end, words = _contact_end(quantity, values[last])
    else:
        end, words = _bond_end(quantity, values, times_fs, last, persistence_fs)
    q = quantity
    return Followed(q.name, q.low, q.high, q.was, end, words, tuple(values.tolist()))


def judge(kind: str, followed: Sequence[Followed]) -> Verdict:
    """What the ends say of an event of this kind, whose reference dynamics did not fail.

    Bonds formed or broken, coordination changes, ligand exchanges, contacts: an artefact where every pair is back on its old
    side, chemistry where every one is on its new side. A coordination change of which only one half is undone is undecided.
    A proton transfer is an artefact where the proton is bonded to its old atom and not to the new one; it is chemistry where it
    has left the old one, be it for the new one or for a third. A temperature that falls by itself is an artefact; one that does
    not is undecided, since dynamics at constant energy keeps the heat that it starts with, whoever made it.
    """
    words = "; ".join(one.words for one in followed)
    if kind == PROTON_TRANSFER:
        old, new = followed
        return Verdict(_transfer(old.end, new.end), words)
    if kind == RUNAWAY_TEMPERATURE and followed[0].end == HOT:
        return Verdict(UNDECIDED, f"{words}, but dynamics at constant energy can't lose heat, whoever made it")
    if all(one.end == one.was for one in followed):
        return Verdict(ARTEFACT, words)
    if all(one.end not in (one.was, BETWEEN) for one in followed):
        return Verdict(CHEMISTRY, words)
    return Verdict(UNDECIDED, words)


def judge_failures(failures: Mapping[str, Reason]) -> Verdict:
    """What failed labels say; failures: reason by where ("before", "at", "after", "beyond 12.5 fs of reference dynamics")."""
    where, reason = next(
        ((w, r) for w, r in failures.items() if r not in NO_ANSWER),
        next(iter(failures.items())),
    )
    words = f"no label {where}: {reason}"
    if reason in NO_ANSWER:
        return Verdict(UNDECIDED, f"{words}, which says nothing of the structure")
    return Verdict(UNPHYSICAL, words)


def _transfer(old: str, new: str) -> str:
    """The proton's bonds to the old and the new atom; a proton that swings between both is shared, which decides nothing."""
    if old == BONDED and new != BONDED:
        return ARTEFACT
    if old == APART or (new == BONDED and old != BONDED):
        return CHEMISTRY
    return UNDECIDED


def _contact_end(quantity: Quantity, recent: Float[np.ndarray, "frames"]) -> tuple[str, str]:
    shortest, limit = float(recent.min()), f"(limit {quantity.low:.2f})"
    if shortest < quantity.low:
        return IN_CONTACT, f"{quantity.name} still come as close as {shortest:.2f} Å {limit}"
    return APART, f"{quantity.name} come no closer than {shortest:.2f} Å any more {limit}"


def _bond_end(
    quantity: Quantity,
    values: Float[np.ndarray, "frames"],
    times_fs: Float[np.ndarray, "frames"],
    last: Bool[np.ndarray, "frames"],
    persistence_fs: float,
) -> tuple[str, str]:
    low, high = quantity.low, quantity.high
    at_end = f"{quantity.name} is {values[-1]:.2f} Å"
    recent = values[last]
    if not ((recent < low) | (recent > high)).any():
        return BETWEEN, f"{at_end}, between the limits {low:.2f} and {high:.2f} for {persistence_fs:g} fs"
    begins_bonded = np.array([quantity.was == APART])
    bonded = hysteresis(values[:, None], np.array([low]), np.array([high]), begins_bonded)[:, 0]
    changes = np.flatnonzero(np.diff(bonded)) + 1
    stay = float(times_fs[-1] - times_fs[changes[-1] if len(changes) else 0])
    side = BONDED if bonded[-1] else APART
    words = f"{at_end}, {side} for {stay:g} fs"
    needed = SETTLED_FS if side == BONDED else persistence_fs
    if stay >= needed * (1.0 - 1e-9):
        return side, words
    times_bonded = int(bonded[0]) + int(bonded[changes].sum())
    if times_bonded >= 2:
        return BONDED, f"{at_end}, bonded and swinging between {recent.min():.2f} and {recent.max():.2f}"
    return BETWEEN, f"{words}, too short to count (it takes {needed:g})"
