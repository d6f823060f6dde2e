"""Settings of dynamics, in the units that a user writes: fs, ps, K, 1/ps, GPa."""

from dataclasses import dataclass, field

from jaxft.errors import InputError, nearest
from jaxft.md.ensembles import ENSEMBLES
from jaxft.md.guards import GuardSettings

DEFAULTS = {
    "friction_per_ps": 1.0,
    "thermostat_time_fs": 100.0,
    "barostat_time_fs": 1000.0,
    "pressure_gpa": 1.01325e-4,
}
"""Of settings that only some ensembles use. The pressure is one atmosphere."""

FULL_CELL = ("npt", "npt-full", "npt-anisotropic", "npt-parrinello-rahman", "npt-flexible")


@dataclass(frozen=True)
class MDSettings:
    """How trajectories are run.

    ensemble            one of ``ensembles.ENSEMBLES``
    temperature         K; that of the first momenta, and of the bath where there is one
    timestep_fs         fs; 0.5 with hydrogen
    friction_per_ps     1/ps, Langevin only
    thermostat_time_fs  relaxation time in fs: of velocity rescaling, or period of the Nosé–Hoover chain
    barostat_time_fs    period of the barostat in fs
    pressure_gpa        GPa, positive in compression
    frame_every         steps between frames
    skin                Å beyond the cutoff in the list of candidates; half of it may be travelled before it is rebuilt
    guards              what stops a replica

    A setting that the ensemble does not use must be None; one that it uses and that is None gets its default from
    ``DEFAULTS``.
    """

    ensemble: str = "nvt-langevin"
    temperature: float = 300.0
    timestep_fs: float = 0.5
    friction_per_ps: float | None = None
    thermostat_time_fs: float | None = None
    barostat_time_fs: float | None = None
    pressure_gpa: float | None = None
    frame_every: int = 20
    skin: float = 1.0
    guards: GuardSettings = field(default_factory=GuardSettings)

    def __post_init__(self) -> None:
        if self.ensemble not in ENSEMBLES:
            known = list(ENSEMBLES)
            what = "full-cell NPT is not there yet" if self.ensemble in FULL_CELL else "unknown ensemble"
            raise InputError(
                f"md.ensemble is {self.ensemble!r} ({what}); expected one of {', '.join(known)}"
                f"{nearest(self.ensemble, known)}"
            )
        used = ENSEMBLES[self.ensemble].uses
        for name, default in DEFAULTS.items():
            given = getattr(self, name)
            if name not in used and given is not None:
                raise InputError(f"md.{name} is {given}, but {self.ensemble} does not use it; leave it out")
            if name in used and given is None:
                object.__setattr__(self, name, default)
        positive = ["temperature", "timestep_fs", "skin", *(n for n in used if n != "pressure_gpa")]
        for name in positive:
            if not getattr(self, name) > 0.0:
                raise InputError(f"md.{name} must be positive, got {getattr(self, name)}")
        if self.frame_every < 1:
            raise InputError(f"md.frame_every must be at least 1, got {self.frame_every}")
