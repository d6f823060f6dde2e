"""Score 1: the signed residual per atom that a model settles at in its own dynamics (the paper's figure 2).

Its error has two parts: that of the runs, and that of the composition offset, which shifts all residuals of a model
alike and which more dynamics does not lower. Both are kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from jaxft.analysis.estimate import Estimate, PooledMean, pool
from jaxft.analysis.model_test import ModelTest, SeedTest
from jaxft.analysis.settling import Settling, effective_frames

NO_OFFSET_ERROR = "the error of the energy offset is not known"


@dataclass(frozen=True)
class Plateau:
    """Residual (E_model - E_ref)/N in eV/atom: positive where the model's energy is too high.

    residual       mean over the plateaus of all seeds; its error joins ``error_sampling`` and ``error_offset``
    median         over the same frames
    error_sampling the larger of the next two; None below an n_effective of 10
    error_run      SD √(2τ/T) over all runs
    error_seeds    from the spread between seeds
    error_offset   standard error of the composition offset
    all_mean       mean over all labelled frames, those before the plateau included
    all_median     median over the same
    """

    residual: Estimate
    median: float | None
    error_sampling: float | None
    error_run: float | None
    error_seeds: float | None
    error_offset: float | None
    all_mean: float | None
    all_median: float | None


def residuals(run: SeedTest, n_atoms: int) -> Float[np.ndarray, "frames"]:
    """(E_model - E_ref)/N in eV/atom of each labelled frame; NaN where the label failed."""
    return (run.model_energies - run.reference_energies) / n_atoms


def on_plateau(run: SeedTest, settling: Settling) -> np.ndarray:
    """Indices of the frames with a label from the start of the plateau on.

    All frames with a label where none comes so late: a seed that ended early is never dropped.
    """
    good = run.labelled
    late = good[run.times_fs[good] >= settling.start_fs]
    return late if len(late) else good


def pool_residuals(test: ModelTest, settlings: Sequence[Settling]) -> PooledMean:
    """Mean and SD over the plateau frames of all seeds, in eV/atom."""
    groups, effective = [], []
    for run, settling in zip(test.seeds, settlings, strict=True):
        frames = on_plateau(run, settling)
        values = residuals(run, test.n_atoms)[frames]
        groups.append(values)
        effective.append(effective_frames(values, run.times_fs[frames], settling.tau_fs))
    return pool(groups, effective)


def plateau_score(test: ModelTest, settlings: Sequence[Settling]) -> Plateau:
    """Score 1 of a test, with the plateau of each of its runs as ``settle`` found it."""
    pooled = pool_residuals(test, settlings)
    sampled = pooled.error
    offset = test.offset_standard_error
    why = pooled.why or (NO_OFFSET_ERROR if offset is None else None)
    error = None if sampled is None or offset is None else float(np.hypot(sampled, offset))
    plateaus = [residuals(run, test.n_atoms)[on_plateau(run, s)] for run, s in zip(test.seeds, settlings, strict=True)]
    everything = np.concatenate([residuals(run, test.n_atoms)[run.labelled] for run in test.seeds])
    return Plateau(
        residual=Estimate(pooled.mean, error, pooled.n, pooled.n_effective, why),
        median=_median(np.concatenate(plateaus)),
        error_sampling=sampled,
        error_run=pooled.error_run,
        error_seeds=pooled.error_seeds,
        error_offset=offset,
        all_mean=float(everything.mean()) if len(everything) else None,
        all_median=_median(everything),
    )


def _median(values: Float[np.ndarray, "frames"]) -> float | None:
    return float(np.median(values)) if len(values) else None
