"""Settings of dynamics, in the units that a user writes: fs, ps, K, 1/ps."""

from dataclasses import dataclass, field

from jaxft.errors import InputError
from jaxft.md.guards import GuardSettings

ENSEMBLES = ("nvt-langevin",)


@dataclass(frozen=True)
class MDSettings:
    """How trajectories are run.

    ensemble          "nvt-langevin" (BAOAB)
    temperature       K
    timestep_fs       fs; 0.5 with hydrogen
    friction_per_ps   Langevin friction in 1/ps
    frame_every       steps between frames
    skin              Å beyond the cutoff in the list of candidates; half of it may be travelled before it is rebuilt
    guards            what stops a replica
    """

    ensemble: str = "nvt-langevin"
    temperature: float = 300.0
    timestep_fs: float = 0.5
    friction_per_ps: float = 1.0
    frame_every: int = 20
    skin: float = 1.0
    guards: GuardSettings = field(default_factory=GuardSettings)

    def __post_init__(self) -> None:
        if self.ensemble not in ENSEMBLES:
            raise InputError(f"unknown ensemble {self.ensemble!r}; expected one of {', '.join(ENSEMBLES)}")
        for name in ("temperature", "timestep_fs", "friction_per_ps", "skin"):
            if not getattr(self, name) > 0.0:
                raise InputError(f"md.{name} must be positive, got {getattr(self, name)}")
        if self.frame_every < 1:
            raise InputError(f"md.frame_every must be at least 1, got {self.frame_every}")
