"""What a reference gives for one structure: a label, or a failure with its reason. Nothing in between is ever stored.

Whether a label may be trained on is another question, asked of the label later (``validity.py``): the same label that
is refused for training counts in an evaluation.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

Reason = Literal[
    "bad structure",  # nothing any engine could compute: NaN, dummy or coincident atoms, a degenerate cell
    "not supported",  # this engine can't: an element, a periodicity
    "electron count",  # fractional charge, or a multiplicity that the number of electrons excludes
    "not converged",
    "not finite",
    "engine failed",  # any other error of the engine, in its own words
    "timed out",
    "worker died",
]


@dataclass(frozen=True)
class Provenance:
    """Which calculation an entry comes from.

    engine, version        the program
    settings               all of its settings, defaults written out; plain JSON values
    charge, multiplicity   as asked for (e; 2S+1, None where it was left to the engine)
    """

    engine: str
    version: str
    settings: Mapping[str, Any]
    charge: float
    multiplicity: float | None


@dataclass(frozen=True)
class Cost:
    """What an entry cost, and where: wall and CPU time in s (all threads and child processes). None where not known."""

    wall_s: float | None
    cpu_s: float | None
    host: str | None


@dataclass(frozen=True, eq=False)
class Label:
    """Energy, forces and stress of one structure from the reference.

    energy      eV; the one whose derivative the forces are (with electronic smearing: the free energy)
    forces      (atoms, 3) eV/Å
    stress      (3, 3) eV/Å³, positive in tension; None unless the cell is periodic in all directions
    n_unpaired  electrons more with spin up than down, as the engine reached it; None where it does not tell
    moments     (atoms,) the same per atom (Mulliken or the engine's own partition); None where it does not tell
    scf_steps   how many; None where the engine does not tell
    recipe      the rung of the engine's ladder that converged (``Recipe.name``); None for the settings as they are
    """

    energy: float
    forces: Float[np.ndarray, "atoms 3"]
    stress: Float[np.ndarray, "3 3"] | None
    provenance: Provenance
    cost: Cost
    n_unpaired: float | None = None
    moments: Float[np.ndarray, "atoms"] | None = None
    scf_steps: int | None = None
    recipe: str | None = None


@dataclass(frozen=True, eq=False)
class Failure:
    """Why there is no label: a reason to count by, one line to read, and the folder of what the program left behind.

    files is for people and, like the cost, never reaches a result file; None where nothing was left.
    """

    reason: Reason
    detail: str
    provenance: Provenance
    cost: Cost
    files: str | None = None

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


Entry = Label | Failure
