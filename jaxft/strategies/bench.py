"""Bench: what a strategy may ask for. Strategies decide which frame, which label, which fine-tune next; the bench does it.

Kept apart so that a strategy reads like its description in the protocol, can be tested with a bench of plain functions, and
never knows of files. The study's bench (``study/bench.py``) keeps everything on disk and does nothing twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from ase import Atoms
from jaxtyping import Float

from jaxft.finetune.offset import CompositionOffset
from jaxft.potential.potential import Potential
from jaxft.structures.dataset import LabelledStructure


@dataclass(frozen=True, eq=False)
class Leg:
    """What one stretch of dynamics gave: for each replica its production frames, in order, up to where it stopped.

    frames         per replica; equilibration is left out
    energies       per replica, potential energy of each frame in eV
    spacing_fs     between frames
    stopped        per replica: None, or (time in fs since the start of the leg, reason)
    """

    frames: Sequence[Sequence[Atoms]]
    energies: Sequence[Float[np.ndarray, "frames"]]
    spacing_fs: float
    stopped: Sequence[tuple[float, str] | None]


@dataclass(frozen=True)
class Model:
    """A fine-tuned potential and how it came about.

    name      N-10pts, FT1, ...
    strategy  naive, periodic
    budget    labels accepted so far
    parent    name of the model whose weights it started from
    """

    name: str
    strategy: str
    budget: int
    parent: str
    potential: Potential
    offset: CompositionOffset
    data: Sequence[LabelledStructure]


class Bench(Protocol):
    """What a strategy may ask for."""

    base: Potential

    def sample_replicas(self, name: str, potential: Potential, replicas: int, share: float) -> Leg:
        """Equilibrate and produce in ``replicas`` independent boxes; ``share`` of a round's steps for each replica."""
        ...

    def sample_onward(self, name: str, potential: Potential, previous: str | None, restart_from: Atoms | None) -> Leg:
        """One round of one trajectory: go on from the last state of leg ``previous`` (None: from the first box).

        restart_from: a structure to start anew from, where the previous leg was stopped by a guard.
        """
        ...

    def label(self, frames: Sequence[Atoms]) -> list[LabelledStructure | None]:
        """Labels in order; None where the reference failed or the label is refused for training."""
        ...

    def finetune(self, model: str, strategy: str, parent: str, data: Sequence[LabelledStructure]) -> Model:
        """Fine-tune ``parent`` (a model's name, or "base") on the data; the budget is their number."""
        ...
