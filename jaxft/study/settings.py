"""Settings of a whole study: one frozen record made of the rooms' own, built by the command line from one YAML."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxft.errors import InputError
from jaxft.finetune.settings import FinetuneSettings
from jaxft.jobs.settings import ExecutorSettings
from jaxft.labels.reference import ReferenceSettings
from jaxft.labels.validity import LabelLimits
from jaxft.md.settings import MDSettings
from jaxft.study.replay import ReplaySettings

STRATEGIES = ("naive", "periodic")
WEIGHTS_FROM = ("parent", "base")

DENSEST = 25.0
"""g/cm³; no matter at ordinary pressure is denser."""


@dataclass(frozen=True)
class SystemSettings:
    """What is simulated: a composition packed at a density (g/cm³), or a starting structure from a file."""

    composition: Mapping[str, int] | None = None
    density_g_cm3: float | None = None
    structure: Path | None = None

    def __post_init__(self) -> None:
        if (self.composition is None) == (self.structure is None):
            raise InputError("system needs either composition (with density_g_cm3) or structure, not both")
        if self.composition is not None and self.density_g_cm3 is None:
            raise InputError("system.composition needs system.density_g_cm3 (g/cm³), for example 1.3")
        if self.density_g_cm3 is not None and not 0.0 < self.density_g_cm3 < DENSEST:
            raise InputError(
                f"system.density_g_cm3 must lie between 0 and {DENSEST:g} g/cm³, got {self.density_g_cm3} (water is 1.0)"
            )
        if self.structure is not None and self.density_g_cm3 is not None:
            raise InputError("system.density_g_cm3 belongs to a composition; a structure has its own cell")


@dataclass(frozen=True)
class EvaluationSettings:
    """Test dynamics of each model, and what is asked of it afterwards.

    labels_per_model  in all, evenly spread over seeds and time
    test_ps           length after equilibration
    seeds             independent runs
    layers            whose descriptors are analysed: ``last`` or ``all`` of the potential
    committee         members of a committee for the last model of each strategy, whose spread is compared with Q; 0: none
    check_events      how many events are put before the reference when all else is done; each takes about 200 labels (plan.py)
    common_set        labelled frames of the reference's own dynamics, which every model is scored on; None: no such frames
    """

    labels_per_model: int = 20
    test_ps: float = 5.0
    seeds: int = 3
    layers: str = "last"
    committee: int = 0
    common_set: Path | None = None
    check_events: int = 0

    def __post_init__(self) -> None:
        if self.layers not in ("last", "all"):
            raise InputError(f"evaluation.layers must be last or all, got {self.layers!r}")
        if self.check_events < 0:
            raise InputError(f"evaluation.check_events must be 0 or more, got {self.check_events}")
        if self.committee != 0 and self.committee < 2:
            raise InputError(f"evaluation.committee must be 0, or 2 members or more, got {self.committee}")


@dataclass(frozen=True)
class StudySettings:
    """One study. ``equilibrate_ps`` and ``produce_ps`` are those of a round of the periodic strategy; the replicas of the
    naive one share the same totals.

    weights_from      where each fine-tune of the periodic strategy starts: from its parent, or again from the base (a control)
    replay            structures of the base's own, trained on beside the labels by every fine-tune
    start_ps          equilibration of each packed box under the base before any strategy begins
    executor          how and where labels are computed
    store             label store; a relative path is inside the run folder
    accept_versions   other versions of the reference program whose labels may be used
    demonstration     the report says "demonstration, not evidence"
    """

    system: SystemSettings
    base: str
    head: str | None
    reference: ReferenceSettings
    limits: LabelLimits
    md: MDSettings
    equilibrate_ps: float
    produce_ps: float
    start_ps: float
    strategies: tuple[str, ...]
    budgets: tuple[int, ...]
    replicas: int
    weights_from: str
    finetune: FinetuneSettings
    replay: ReplaySettings
    evaluation: EvaluationSettings
    executor: ExecutorSettings
    store: Path
    accept_versions: tuple[str, ...]
    seed: int
    precision: str
    demonstration: bool
    configuration: Mapping[str, Any]

    def __post_init__(self) -> None:
        if not self.budgets or list(self.budgets) != sorted(set(self.budgets)) or self.budgets[0] < 1:
            raise InputError(f"budgets must be positive and increasing, got {list(self.budgets)}")
        unknown = [name for name in self.strategies if name not in STRATEGIES]
        if unknown or not self.strategies or len(set(self.strategies)) != len(self.strategies):
            raise InputError(
                f"strategies must be different names out of {', '.join(STRATEGIES)}, got {list(self.strategies)}"
            )
        if self.weights_from not in WEIGHTS_FROM:
            raise InputError(
                f"periodic.weights_from must be one of {', '.join(WEIGHTS_FROM)}, got {self.weights_from!r}"
            )
        self._check_finetune()
        for name, value in (
            ("md.equilibrate_ps", self.equilibrate_ps),
            ("md.produce_ps", self.produce_ps),
            ("md.start_ps", self.start_ps),
            ("evaluation.test_ps", self.evaluation.test_ps),
        ):
            if not value > 0.0:
                raise InputError(f"{name} must be positive, got {value}")
        for name, count in (
            ("naive.replicas", self.replicas),
            ("evaluation.seeds", self.evaluation.seeds),
            ("evaluation.labels_per_model", self.evaluation.labels_per_model),
        ):
            if count < 1:
                raise InputError(f"{name} must be at least 1, got {count}")
        if not 0 <= self.seed < 2**32:
            raise InputError(f"seed must be a whole number from 0 to {2**32 - 1}, got {self.seed}")
        steps = [b - a for a, b in zip((0, *self.budgets), self.budgets, strict=False)]
        if max(steps) > self.frames(self.produce_ps):
            raise InputError(
                f"a round of md.produce_ps = {self.produce_ps:g} ps has {self.frames(self.produce_ps)} frames, fewer than the "
                f"{max(steps)} labels that budgets {list(self.budgets)} want from one; run longer, or record frames more often"
            )
        if self.precision not in ("float32", "float64"):
            raise InputError(f"precision must be float32 or float64, got {self.precision!r}")

    def _check_finetune(self) -> None:
        """What a fine-tune by itself may have and a study may not."""
        settings = self.finetune
        if settings.patience is not None or settings.schedule == "plateau":
            raise InputError(
                "finetune.patience and schedule: plateau need validation structures, which a study does not buy: every model of it "
                "gets the same number of updates; leave them out"
            )
        if settings.reference_energies != "refit":
            raise InputError(
                f"finetune.reference_energies is {settings.reference_energies!r}, but a study fits one offset per model to the "
                "labels of that model, so that plateaus can be compared; leave it out"
            )

    def frames(self, picoseconds: float) -> int:
        """How many frames a duration holds, at least 1."""
        return max(1, round(picoseconds * 1000.0 / (self.md.timestep_fs * self.md.frame_every)))
