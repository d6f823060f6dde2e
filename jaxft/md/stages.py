"""A simulation in stages: heat, equilibrate, produce. Each goes on from the state in which the one before it ended.

A stage has a length, an ensemble, and a temperature that holds or changes linearly. Its frames are files of their own, and its
end is a checkpoint, so that a run that was killed goes on in the middle of any stage.
"""

import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from jaxft.errors import InputError
from jaxft.md.run import Outcome, Progress, run
from jaxft.md.settings import MDSettings
from jaxft.md.simulation import Simulation, in_ensemble


@dataclass(frozen=True)
class Stage:
    """One stage.

    name              of its files
    picoseconds       its length
    settings          ensemble and everything else; its temperature is that of the end of the stage
    from_temperature  K: where a linear change begins; None: the temperature is constant
    """

    name: str
    picoseconds: float
    settings: MDSettings
    from_temperature: float | None = None

    def __post_init__(self) -> None:
        if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", self.name) is None:
            raise InputError(
                f"a stage is named {self.name!r}; expected letters, digits, points, _ and -, since it names files"
            )
        if not self.picoseconds > 0.0:
            raise InputError(f"stage {self.name!r} must have a positive length in ps, got {self.picoseconds}")
        if self.from_temperature is not None and not self.from_temperature > 0.0:
            raise InputError(f"stage {self.name!r} begins at {self.from_temperature} K; expected more than 0 K")
        if self.from_temperature is not None and self.settings.ensemble == "nve":
            raise InputError(f"stage {self.name!r} changes the temperature, but nve has no bath; choose a thermostat")
        exact = self.picoseconds * 1000.0 / self._frame_fs
        if exact < 0.5:
            raise InputError(
                f"stage {self.name!r} is {self.picoseconds:g} ps long, less than a frame of {self._frame_fs:g} fs; make it "
                "longer, or record frames more often (md.frame_every)"
            )
        if abs(exact - self.frames) > 1e-6 * exact:
            warnings.warn(
                f"stage {self.name!r} of {self.picoseconds:g} ps is {exact:.4g} frames of {self._frame_fs:g} fs; it will be "
                f"{self.frames} frames long",
                stacklevel=2,
            )

    @property
    def _frame_fs(self) -> float:
        return self.settings.timestep_fs * self.settings.frame_every

    @property
    def frames(self) -> int:
        """How many frames it has, at least 1."""
        return max(1, round(self.picoseconds * 1000.0 / self._frame_fs))


def run_stages(
    simulation: Simulation,
    stages: Sequence[Stage],
    *,
    checkpoint: Callable[[Stage], Path],
    trajectories: Callable[[Stage], Sequence[Path]],
    block_frames: int = 25,
    checkpoint_every_s: float = 0.0,
    on_progress: Callable[[Stage, Progress], None] | None = None,
) -> list[Outcome]:
    """Run the stages in order, from files where they are finished, and return what became of each.

    simulation: the start, made with the settings of the first stage. Replicas that a guard stops stay stopped.
    """
    outcomes: list[Outcome] = []
    for number, stage in enumerate(stages):
        if number > 0:
            simulation = in_ensemble(outcomes[-1].simulation, stage.settings)
        outcome = run(
            simulation,
            stage.frames,
            checkpoint=checkpoint(stage),
            trajectories=trajectories(stage),
            block_frames=block_frames,
            checkpoint_every_s=checkpoint_every_s,
            from_temperature=stage.from_temperature,
            on_progress=None if on_progress is None else partial(on_progress, stage),
        )
        outcomes.append(outcome)
    return outcomes
