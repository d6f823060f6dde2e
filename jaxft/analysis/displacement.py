"""How far atoms get: mean-squared displacement over time, and the diffusion coefficient with its error, or why there is none.

A short run shows vibrations and cages, whose displacement does not grow linearly; a slope fitted to it is no diffusion. How
it grows is therefore measured as well, and where that is not linear there is no coefficient.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from ase.data import atomic_masses
from jaxtyping import Bool, Float
from scipy import fft

from jaxft.analysis.block_error import BLOCKS, block_edges, block_mean
from jaxft.analysis.estimate import TOO_SHORT_WORDS, Estimate
from jaxft.analysis.frames import Frames, fractional
from jaxft.errors import InputError

FRAMES_AT_MOST = 20_000
"""Of longer runs every k-th frame is used: displacement is slow, and the memory stays bounded."""

FEWEST_FRAMES = 8 * BLOCKS
"""Per run; a block has 8 then, and the line three lags to be fitted to."""

LONGEST_LAG = 0.5
"""Share of a block; longer lags have too few origins."""

FIT_FROM = 0.5
"""Share of the longest lag from which on the line is fitted."""

DIFFUSIVE = (0.8, 1.25)
"""Power of time with which a displacement grows that passes as diffusion: 1 exactly; 2 in free flight, 0 in a cage."""

JUMPS_MEAN_WRAPPED_FS = 100.0
"""In frames nearer than this, an atom that gets half a box further has been wrapped and has not moved there."""

M2_PER_S = 1e-5
"""One Å²/fs in m²/s."""


@dataclass(frozen=True)
class Displacement:
    """Mean-squared displacement of an element, averaged over atoms, time origins and runs.

    element    None: all atoms
    lags_fs    increasing, from 0
    msd        Å², at each lag
    error      standard error, Å²; None where the runs are too short for one
    power      p of msd ~ t^p over the fitted lags; None where there are none
    diffusion  D = slope/6 in Å²/fs (Einstein); no value where p is not near 1. Not corrected for the size of the box: a
               periodic one of edge L and viscosity η gives 2.84 kT/(6πηL) too little (I.-C. Yeh & G. Hummer, J. Phys. Chem.
               B 108 (2004) 15873)
    fitted_fs  first and last lag of the line; None where there is none
    n_atoms    of the element
    n_frames   that were used, in all runs together
    """

    element: str | None
    lags_fs: tuple[float, ...]
    msd: tuple[float, ...]
    error: tuple[float, ...] | None
    power: float | None
    diffusion: Estimate
    fitted_fs: tuple[float, float] | None
    n_atoms: int
    n_frames: int

    @property
    def diffusion_m2_per_s(self) -> float | None:
        """D in m²/s (water at 300 K: 2.3e-9)."""
        return None if self.diffusion.value is None else self.diffusion.value * M2_PER_S


def displacement(runs: Sequence[Frames], element: str | None = None) -> Displacement:
    """Mean-squared displacement of an element over runs of the same box (several seeds, say).

    Positions must be unwrapped, as in our trajectories. The center of mass of the whole box (natural masses) is taken out
    of every frame: a thermostat that pushes it around moves no atom relative to the others.
    Raises InputError for positions that jump, a cell that moves, an element that is not there, and runs that differ.
    """
    frame_fs, chosen = _checked(runs, element)
    every = max(1, -(-max(len(frames) for frames in runs) // FRAMES_AT_MOST))
    positions = [_relative_positions(frames, chosen, every) for frames in runs]
    lengths = [len(x) for x in positions]
    enough, spacing = min(lengths) >= FEWEST_FRAMES, every * frame_fs
    blocks = [block_edges(n, BLOCKS if enough else 1) for n in lengths]
    n_lags = max(1, int(LONGEST_LAG * min(np.diff(edges).min() for edges in blocks)) + 1)
    curves = [
        np.array([mean_squared(x[a:b])[:n_lags] for a, b in pairwise(edges)])
        for x, edges in zip(positions, blocks, strict=True)
    ]
    msd, error = block_mean(curves, lengths)
    lags = spacing * np.arange(n_lags)
    fitted = slice(max(1, int(np.ceil(FIT_FROM * (n_lags - 1)))), n_lags)
    power = _power(lags[fitted], msd[fitted]) if enough else None
    return Displacement(
        element=element,
        lags_fs=tuple(lags.tolist()),
        msd=tuple(msd.tolist()),
        error=None if error is None else tuple(error.tolist()),
        power=power,
        diffusion=_diffusion(lags[fitted], [c[:, fitted] for c in curves], lengths, power),
        fitted_fs=(float(lags[fitted][0]), float(lags[-1])) if enough else None,
        n_atoms=int(chosen.sum()),
        n_frames=sum(lengths),
    )


def mean_squared(positions: Float[np.ndarray, "frames atoms 3"]) -> Float[np.ndarray, "frames"]:
    """⟨|r(t + lag) - r(t)|²⟩ over atoms and all origins t, for every lag, in Å².

    By FFT: Σ_t |r(t + m) - r(t)|² = Σ_t (r²(t + m) + r²(t)) - 2 Σ_t r(t + m)·r(t), the last sum being an autocorrelation.
    Source: V. Calandrini et al., Collection SFN 12 (2011) 201, section 4.2.
    """
    n, n_atoms = positions.shape[:2]
    centered = positions - positions.mean(axis=0)  # squares of large numbers must not cancel
    squares = np.concatenate([[0.0], np.cumsum(np.square(centered).sum(axis=(1, 2)))])
    lags = np.arange(n)
    size = fft.next_fast_len(2 * n, real=True)
    power = np.square(np.abs(fft.rfft(centered, size, axis=0))).sum(axis=(1, 2))
    products = fft.irfft(power, size)[:n]
    sums = squares[n - lags] + squares[n] - squares[lags] - 2.0 * products
    sums[0] = 0.0  # exactly, where the difference of large sums is not
    return np.maximum(sums, 0.0) / ((n - lags) * n_atoms)


def _relative_positions(
    frames: Frames, chosen: Bool[np.ndarray, "atoms"], every: int
) -> Float[np.ndarray, "kept chosen 3"]:
    """Positions of the chosen atoms against the center of mass of all, of every ``every``-th frame."""
    masses = atomic_masses[np.asarray(frames.numbers)]
    masses = masses / masses.sum()
    kept = np.empty((-(-len(frames) // every), int(chosen.sum()), 3))
    before = None
    for chunk in frames.chunks():
        scaled = fractional(chunk.positions, chunk.cells, frames.pbc)
        if frames.frame_fs <= JUMPS_MEAN_WRAPPED_FS:
            steps = np.diff(scaled, axis=0, prepend=(scaled[:1] if before is None else before))
            far = (np.abs(steps) > 0.5).any(axis=1) & np.asarray(frames.pbc)
            if far.any():
                raise InputError(
                    f"an atom gets further than half the box from frame {chunk.start + int(far.any(axis=1).argmax()) - 1} to the "
                    "next, so positions are wrapped into the cell; mean-squared displacements need unwrapped ones"
                )
            before = scaled[-1:]
        center = np.einsum("a,fax->fx", masses, chunk.positions)
        rows = np.arange(chunk.start - frames.start, chunk.start - frames.start + len(chunk.positions))
        taken = rows % every == 0
        kept[rows[taken] // every] = chunk.positions[taken][:, chosen] - center[taken, None]
    return kept


def _power(lags: Float[np.ndarray, "lags"], msd: Float[np.ndarray, "lags"]) -> float | None:
    return float(np.polyfit(np.log(lags), np.log(msd), 1)[0]) if (msd > 0.0).all() else None


def _diffusion(
    lags: Float[np.ndarray, "lags"],
    curves: Sequence[Float[np.ndarray, "blocks lags"]],
    lengths: Sequence[int],
    power: float | None,
) -> Estimate:
    n, n_blocks = sum(lengths), sum(len(curve) for curve in curves)
    if min(lengths) < FEWEST_FRAMES:
        why = f"{TOO_SHORT_WORDS}: {min(lengths)} frames, expected at least {FEWEST_FRAMES}"
        return Estimate(None, None, n, 0.0, why)
    if power is None or not DIFFUSIVE[0] <= power <= DIFFUSIVE[1]:
        grows = "does not grow" if power is None else f"grows with the power {power:.2f} of time"
        return Estimate(
            None, None, n, float(n_blocks), f"too short for diffusion: the displacement {grows}, expected 1"
        )
    slopes = [np.polyfit(lags, curve.T, 1)[:1].T / 6.0 for curve in curves]
    mean, error = block_mean(slopes, lengths)
    assert error is not None, "there are as many blocks as it takes"
    return Estimate(float(mean[0]), float(error[0]), n, float(n_blocks))


def _checked(runs: Sequence[Frames], element: str | None) -> tuple[float, Bool[np.ndarray, "atoms"]]:
    """Spacing of the frames, and which atoms are meant."""
    if not runs or not all(len(frames) for frames in runs):
        raise InputError("a displacement needs runs with at least one frame each; leave empty ones out")
    first = runs[0]
    for k, frames in enumerate(runs):
        if frames.moving_cell:
            raise InputError(
                f"the cell of run {k} moves, and a barostat moves atoms with it; use runs at constant volume for displacements"
            )
        if not np.array_equal(frames.numbers, first.numbers):
            raise InputError(
                f"run {k} has other atoms than run 0; average displacements over runs of the same box only"
            )
        if frames.frame_fs != first.frame_fs:
            raise InputError(
                f"frames of run {k} are {frames.frame_fs:g} fs apart, those of run 0 {first.frame_fs:g} fs"
            )
    symbols = np.array(first.symbols)
    if element is not None and element not in symbols:
        raise InputError(
            f"there is no {element} among {', '.join(sorted(set(symbols.tolist())))}; give an element that is there"
        )
    return first.frame_fs, np.ones(len(symbols), bool) if element is None else symbols == element
