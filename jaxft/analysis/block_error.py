"""The mean of a curve over blocks of runs, with an error band: for what is counted in histograms and has no time series.

Blocks are consecutive and equally long. Their spread is the error if they are longer than the memory of the run; twice as
long blocks, and the spread between runs, are looked at as well, and at each point of the curve the largest error is taken.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from jaxft.analysis.estimate import SEEDS_FOR_SPREAD

BLOCKS = 10
"""Per run; even, so that neighbors can be joined."""


def block_edges(n_frames: int, n_blocks: int = BLOCKS) -> Int[np.ndarray, "edges"]:
    """First frame of each block, and the end: as many blocks as asked for, or one where there are fewer frames than that."""
    return np.linspace(0, n_frames, (n_blocks if n_frames >= n_blocks else 1) + 1).astype(np.int64)


def block_mean(
    runs: Sequence[Float[np.ndarray, "blocks bins"]], n_frames: Sequence[int]
) -> tuple[Float[np.ndarray, "bins"], Float[np.ndarray, "bins"] | None]:
    """Mean over all frames, and its standard error, from the means of the blocks of each run.

    With w_s the share of run s in all frames and K blocks of SD s_b, the error from the blocks is √(Σ_s w_s² s_b²/K); the
    same from K/2 joined ones; and from S ≥ 3 runs √(S/(S-1) Σ_s w_s² (m_s - mean)²) (as in ``estimate.pool``). None where
    a run has fewer frames than blocks.
    """
    shares = np.asarray(n_frames, dtype=np.float64) / sum(n_frames)
    means = np.array([blocks.mean(axis=0) for blocks in runs])
    mean = shares @ means
    if any(len(blocks) < BLOCKS for blocks in runs):
        return mean, None
    joined = [0.5 * (blocks[0::2] + blocks[1::2]) for blocks in runs]
    errors = [_within(blocks, shares) for blocks in (runs, joined)]
    if len(runs) >= SEEDS_FOR_SPREAD:
        errors.append(np.sqrt(len(runs) / (len(runs) - 1) * (shares**2 @ (means - mean) ** 2)))
    return mean, np.max(errors, axis=0)


def _within(
    runs: Sequence[Float[np.ndarray, "blocks bins"]], shares: Float[np.ndarray, "runs"]
) -> Float[np.ndarray, "bins"]:
    return np.sqrt(sum(w**2 * blocks.var(axis=0, ddof=1) / len(blocks) for w, blocks in zip(shares, runs, strict=True)))
