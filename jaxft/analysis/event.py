"""An event: something chemically wrong or notable that happened in a run, with when, which atoms, and where to look.

Whether it is an artefact is not said here: that takes the reference (protocol 8).
"""

from dataclasses import dataclass
from typing import NamedTuple

BOND_BROKEN = "bond broken"
BOND_FORMED = "bond formed"
PROTON_TRANSFER = "proton transfer"
COORDINATION_CHANGE = "coordination change"
LIGAND_EXCHANGE = "ligand exchange"
CLOSE_CONTACT = "close contact"
RUNAWAY_TEMPERATURE = "runaway temperature"

KINDS = (
    BOND_BROKEN,
    BOND_FORMED,
    PROTON_TRANSFER,
    COORDINATION_CHANGE,
    LIGAND_EXCHANGE,
    CLOSE_CONTACT,
    RUNAWAY_TEMPERATURE,
)


@dataclass(frozen=True)
class Event:
    """One event.

    kind          one of ``KINDS``
    time_fs       of ``frame``
    frame         the first frame of the new state; where an event is two changes, of the later one
    frame_before  the last frame of the old state
    frame_after   the frame in which the new state has lasted, or the last frame there is
    atoms         indices from 0: hydrogen, old and new partner of a transfer; center, then ligands that left and came
    elements      of these atoms
    distance      Å, of the changed pair in ``frame`` (of the later one where there are two); the shortest of a contact
    temperature   K, in ``frame``; None unless it is a runaway temperature
    change        what the center's first shell was and became: CoCl3O, CoCl4; None where no shell is meant
    words         all of it, for a reader
    """

    kind: str
    time_fs: float
    frame: int
    frame_before: int
    frame_after: int
    atoms: tuple[int, ...]
    elements: tuple[str, ...]
    distance: float | None
    temperature: float | None
    change: tuple[str, str] | None
    words: str


class Clock(NamedTuple):
    """Frames into times: time of frame 0 and spacing in fs, frames that a new state must last, first and last frame."""

    first_fs: float
    frame_fs: float
    persist: int
    first: int
    last: int

    def time_fs(self, frame: int) -> float:
        """Time of a frame."""
        return self.first_fs + frame * self.frame_fs
