"""``evaluation/residuals.json``: the residual series and scores of all models, everything that the report draws from.

How it is written and rounded: ``result_file.py``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxft.analysis.model_test import ModelTest, SeedTest, Stop
from jaxft.analysis.plateau import residuals
from jaxft.analysis.result_file import plain_record, read_result
from jaxft.analysis.scores import Scores, scores
from jaxft.errors import InputError
from jaxft.records import write_json
from jaxft.strategies.stretch import Stretch

FORMAT = "jaxft-residuals"
VERSION = 1


@dataclass(frozen=True)
class SeedSeries:
    """One test run, frame by frame; None where the label failed. eV, eV/atom, fs; ``failures`` by frame."""

    seed: int
    length_fs: float
    stopped: Stop | None
    times_fs: tuple[float, ...]
    model_energies: tuple[float, ...]
    reference_energies: tuple[float | None, ...]
    residuals: tuple[float | None, ...]
    failures: Mapping[int, str]


@dataclass(frozen=True)
class ModelResult:
    """One model: its series and its scores. Fields as in ``ModelTest``; eV/atom, K."""

    name: str
    strategy: str
    budget: int
    n_atoms: int
    temperature: float
    offset_standard_error: float | None
    training_residuals: tuple[float, ...]
    seeds: tuple[SeedSeries, ...]
    scores: Scores
    training_n_effective: float | None = None


@dataclass(frozen=True)
class Residuals:
    """All models of a run.

    demonstration  whether this is a demonstration and not evidence (protocol 11)
    planned        names of the models that the run is to have; those without a result are not there yet
    settings       what a reader must know to judge the numbers: names to plain JSON values
    sampling       every stretch of dynamics that training frames were picked from
    """

    demonstration: bool
    planned: tuple[str, ...]
    settings: Mapping[str, Any]
    models: tuple[ModelResult, ...]
    sampling: tuple[Stretch, ...] = ()

    @property
    def missing(self) -> tuple[str, ...]:
        """Planned models that have no result yet."""
        there = {model.name for model in self.models}
        return tuple(name for name in self.planned if name not in there)


def residuals_record(
    tests: Sequence[ModelTest],
    *,
    demonstration: bool,
    settings: Mapping[str, Any] | None = None,
    planned: Sequence[str] = (),
    sampling: Sequence[Stretch] = (),
) -> dict[str, Any]:
    """Score the tests and lay everything out as plain JSON values, rounded.

    Raises InputError for two models of one name, and as ``scores`` does.
    """
    names = [test.name for test in tests]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"two tested models are called {twice[0]!r}; expected each model once, with all of its seeds")
    results = tuple(_result(test) for test in tests)
    result = Residuals(demonstration, tuple(planned), dict(settings or {}), results, tuple(sampling))
    return plain_record(result)


def write_residuals(path: str | Path, record: Mapping[str, Any]) -> None:
    """Write what ``residuals_record`` gave, atomically."""
    write_json(path, FORMAT, VERSION, dict(record))


def read_residuals(path: str | Path) -> Residuals:
    """Read ``residuals.json``. Raises InputError where it is missing, newer than this code, or not what it should be."""
    return read_result(path, FORMAT, VERSION, Residuals)


def _result(test: ModelTest) -> ModelResult:
    return ModelResult(
        name=test.name,
        strategy=test.strategy,
        budget=test.budget,
        n_atoms=test.n_atoms,
        temperature=test.temperature,
        offset_standard_error=test.offset_standard_error,
        training_residuals=tuple(test.training_residuals.tolist()),
        seeds=tuple(_series(run, test.n_atoms) for run in test.seeds),
        scores=scores(test),
        training_n_effective=test.training_n_effective,
    )


def _series(run: SeedTest, n_atoms: int) -> SeedSeries:
    def known(values: list[float]) -> tuple[float | None, ...]:
        return tuple(None if k in run.failures else value for k, value in enumerate(values))

    return SeedSeries(
        seed=run.seed,
        length_fs=run.length_fs,
        stopped=run.stopped,
        times_fs=tuple(run.times_fs.tolist()),
        model_energies=tuple(run.model_energies.tolist()),
        reference_energies=known(run.reference_energies.tolist()),
        residuals=known(residuals(run, n_atoms).tolist()),
        failures=dict(run.failures),
    )
