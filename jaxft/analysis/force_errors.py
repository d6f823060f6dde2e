"""Score 4, on own frames: how wrong the forces are where the model's own dynamics goes.

All labelled frames count, those before the plateau and those just before a guard too: forces need no offset, and the
frames near a failure are the ones that matter. The median over frames stands beside the RMSE, which one bad frame can
rule.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from ase.data import chemical_symbols
from jaxtyping import Bool, Float

from jaxft.analysis.estimate import Estimate, pool
from jaxft.analysis.model_test import ModelTest
from jaxft.analysis.settling import Settling, effective_frames


@dataclass(frozen=True)
class ForceErrors:
    """Root mean square over force components of model minus reference, eV/Å.

    rmse          over all labelled frames; its error is SE(mean square)/(2 RMSE)
    frame_median  median over frames of the RMSE of a frame
    by_element    the RMSE over the atoms of one element, by symbol
    """

    rmse: Estimate
    frame_median: float | None
    by_element: Mapping[str, Estimate]


def force_errors(test: ModelTest, settlings: Sequence[Settling]) -> ForceErrors:
    """Force errors of a test on its own frames."""
    frame_rmse = np.concatenate(
        [np.sqrt(squares) for squares in _frame_squares(test, np.ones(test.n_atoms, dtype=bool))]
    )
    return ForceErrors(
        rmse=_rmse(test, settlings, np.ones(test.n_atoms, dtype=bool)),
        frame_median=float(np.median(frame_rmse)) if len(frame_rmse) else None,
        by_element={
            chemical_symbols[z]: _rmse(test, settlings, test.numbers == z) for z in sorted(set(test.numbers.tolist()))
        },
    )


def _frame_squares(test: ModelTest, atoms: Bool[np.ndarray, "atoms"]) -> list[Float[np.ndarray, "frames"]]:
    """Mean square of the force components of the chosen atoms, for each frame with a label, seed by seed."""
    return [
        ((run.model_forces - run.reference_forces)[run.labelled][:, atoms] ** 2).mean(axis=(1, 2)) for run in test.seeds
    ]


def _rmse(test: ModelTest, settlings: Sequence[Settling], atoms: Bool[np.ndarray, "atoms"]) -> Estimate:
    squares = _frame_squares(test, atoms)
    effective = [
        effective_frames(values, run.times_fs[run.labelled], settling.tau_fs)
        for values, run, settling in zip(squares, test.seeds, settlings, strict=True)
    ]
    pooled = pool(squares, effective)
    if pooled.mean is None:
        return pooled.estimate()
    rmse = float(np.sqrt(pooled.mean))
    error = None
    if pooled.error is not None:
        error = pooled.error / (2.0 * rmse) if rmse > 0.0 else 0.0
    return Estimate(rmse, error, pooled.n, pooled.n_effective, pooled.why)
