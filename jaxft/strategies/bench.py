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
from jaxft.strategies.independence import Independence
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
    n_effective  independent ones among its labels; None: all count
    """

    name: str
    strategy: str
    budget: int
    parent: str
    potential: Potential
    offset: CompositionOffset
    data: Sequence[LabelledStructure]
    n_effective: float | None = None


@dataclass(frozen=True, eq=False)
class Arm:
    """What a strategy gave: its models in order, and why there are fewer than budgets (None: there are not)."""

    models: Sequence[Model]
    failure: str | None = None


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

    def label(self, frames: Sequence[Atoms]) -> list[LabelledStructure | str]:
        """Labels in order; a sentence where the reference failed or the label is refused for training."""
        ...

    def finetune(
        self,
        model: str,
        strategy: str,
        parent: str,
        data: Sequence[LabelledStructure],
        picked: Sequence[Independence],
    ) -> Model:
        """Fine-tune ``parent`` (a model's name, or "base") on the data; the budget is their number.

        picked: for each stretch of dynamics that the data came from, how independent its picks are.
        """
        ...
