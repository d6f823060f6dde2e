"""What a sweep is asked to do: which settings vary and how far, how many trials, and what is made small."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from optuna.trial import Trial

from jaxft.errors import InputError, nearest
from jaxft.finetune.fit import TRACED
from jaxft.finetune.settings import FinetuneSettings
from jaxft.study.finetune_settings import FinetuningSettings

OBJECTIVES = {
    "forces": "forces, RMSE [meV/Å]",
    "energy": "energy, RMSE, mean removed [meV/atom]",
    "loss": "validation loss [dimensionless]",
}
"""What can be made small, and what it is called in a figure."""

SCALE_OF_LOSS = ("finetune.weights", "finetune.loss", "finetune.huber_delta")
"""Settings that change what a loss means, so that losses under different ones can't be compared."""

SAME_FOR_ALL = ("data", "validation", "replay", "committee", "precision", "trust_units", "sweep", "jobs")
"""Sections and settings that decide what trials are compared on, or are decided before any trial begins."""


WHOLE = (*(f"finetune.{f.name}" for f in fields(FinetuneSettings) if f.type in (int, int | None)), "seed")
"""Settings that are whole numbers."""


@dataclass(frozen=True)
class Dimension:
    """What one setting may be: a range (low, high, on a log scale or not; whole numbers where the setting is one) or choices."""

    name: str
    low: float | None = None
    high: float | None = None
    log: bool = False
    choices: tuple[Any, ...] = ()

    def __post_init__(self) -> None:
        ranged = self.low is not None and self.high is not None
        if self.choices and (self.low is not None or self.high is not None or self.log):
            raise InputError(
                f"sweep.settings.{self.name}: low, high and log say nothing beside choices; leave them out"
            )
        if ranged == bool(self.choices):
            raise InputError(f"sweep.settings.{self.name}: expected low and high, or choices")
        if ranged and not (self.low < self.high and (self.low > 0 or not self.log)):  # type: ignore[operator]
            raise InputError(
                f"sweep.settings.{self.name}: low is {self.low} and high {self.high}; expected low < high, and low > 0 where "
                "log is set"
            )

        if ranged and self.name in WHOLE and not (isinstance(self.low, int) and isinstance(self.high, int)):
            raise InputError(
                f"sweep.settings.{self.name}: low is {self.low} and high {self.high}; expected whole numbers, as the setting is one"
            )

    def extremes(self) -> tuple[Any, ...]:
        """Every choice, or both ends of the range."""
        return self.choices or (self.low, self.high)

    def suggest(self, trial: Trial) -> Any:
        """The value of a trial, drawn by Optuna's sampler where none is set."""
        if self.choices:
            with warnings.catch_warnings():
                # lists and mappings go into the journal as JSON and come back equal, whatever Optuna fears for other storages
                warnings.filterwarnings("ignore", message="Choices for a categorical distribution")
                return trial.suggest_categorical(self.name, self.choices)
        assert self.low is not None
        assert self.high is not None
        if self.name in WHOLE:
            return trial.suggest_int(self.name, int(self.low), int(self.high), log=self.log)
        return trial.suggest_float(self.name, self.low, self.high, log=self.log)


@dataclass(frozen=True)
class SweepSettings:
    """One sweep.

    dimensions  what varies
    trials      how many settings are tried in all, by all processes together; a sweep may go on with a larger number
    objective   what is made small on the validation structures: RMSE of ``forces`` (meV/Å), of ``energy`` after its mean error
                was taken off (meV/atom), or the validation ``loss``
    prune       end trials whose validation loss lags behind (median of the others at the same update)
    vectorized  train ``population`` settings at once in one program
    seed        of the sampler
    configuration  as it is recorded
    """

    dimensions: tuple[Dimension, ...]
    trials: int
    objective: str
    prune: bool
    vectorized: bool
    population: int
    seed: int
    configuration: Mapping[str, Any]

    def variants(self) -> Sequence[Mapping[str, Any]]:
        """Settings with each choice and both ends of each range, the other dimensions at their first; begins with the firsts."""
        first = {d.name: d.extremes()[0] for d in self.dimensions}
        return [first, *({**first, d.name: value} for d in self.dimensions for value in d.extremes()[1:])]

    def __post_init__(self) -> None:
        if not self.dimensions:
            raise InputError("sweep.settings is empty; expected at least one setting, such as finetune.learning_rate")
        if self.objective not in OBJECTIVES:
            near = nearest(self.objective, list(OBJECTIVES))
            raise InputError(f"sweep.objective is {self.objective!r}, expected one of {', '.join(OBJECTIVES)}{near}")
        for dimension in self.dimensions:
            if dimension.name.partition(".")[0] in SAME_FOR_ALL:
                raise InputError(f"sweep.settings has {dimension.name}, which is the same for all trials; leave it out")
        if self.trials < 1 or self.population < 1:
            raise InputError(
                f"sweep.trials and sweep.population are {self.trials} and {self.population}, expected at least 1"
            )
        scale = [d.name for d in self.dimensions if d.name.startswith(SCALE_OF_LOSS)]
        for name, uses in (("objective: loss", self.objective == "loss"), ("prune: true", self.prune)):
            if uses and scale:
                raise InputError(
                    f"sweep.{name} compares validation losses, but {scale[0]} changes what they mean; leave one out"
                )
        if self.vectorized:
            if self.prune:
                raise InputError(
                    "sweep.prune ends single trials, but with vectorized: true they train together; leave one out"
                )
            traced = (*(f"finetune.{name}" for name in (*TRACED, "replay_weight")), "seed")
            for dimension in self.dimensions:
                if not dimension.name.startswith(traced):
                    raise InputError(
                        f"sweep.vectorized: {dimension.name} is compiled in, so it can't vary in one program; only "
                        f"{', '.join(traced)} can"
                    )


Make = Callable[[Mapping[str, Any]], FinetuningSettings]
"""From settings by dotted name to a whole fine-tune; InputError for names that there are not."""
