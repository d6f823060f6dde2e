"""Time series: how long is the memory, where does the plateau begin, and how sure is the mean.

One convention throughout: the integrated autocorrelation time is τ = 1/2 + Σ ρ_k (k from 1), in samples, so white noise
has τ = 1/2, frames 2τ apart count as independent, n_eff = n / 2τ, and the standard error of a mean is SD √(2τ / n),
which for white noise is SD / √n. τ in time units is τ in samples times the spacing of the samples.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import fft

TOO_SHORT = 10
"""Below this many effective samples an error bar is not worth printing (protocol)."""


@dataclass(frozen=True)
class MeanEstimate:
    """Mean of a correlated series. mean, sd, standard_error in the unit of the series; tau in samples; counts."""

    mean: float
    sd: float
    tau: float
    n: int
    n_eff: float
    standard_error: float

    @property
    def too_short(self) -> bool:
        """Whether the series is too short for an error bar: n_eff below 10."""
        return self.n_eff < TOO_SHORT


@dataclass(frozen=True)
class Plateau:
    """Where a series has become stationary: index of the first sample, τ (samples) and n_eff from there on."""

    start: int
    tau: float
    n_eff: float


@dataclass(frozen=True)
class BlockLevel:
    """One level of blocking: samples per block, number of blocks, standard error of the mean and its own error."""

    block_length: int
    n_blocks: int
    standard_error: float
    uncertainty: float


def autocorrelation(series: Float[np.ndarray, "samples"]) -> Float[np.ndarray, "samples"]:
    """Normalised autocorrelation ρ_k = c_k / c_0 with c_k = (1/n) Σ_i (x_i - x̄)(x_{i+k} - x̄), by FFT.

    The 1/n (not 1/(n-k)) keeps the sequence positive definite. A constant series has ρ_k = 1 - k/n, the limit of
    perfect correlation. Raises ValueError for fewer than 2 samples or values that are not finite.
    """
    x = _checked(series)
    n = len(x)
    if np.ptp(x) == 0.0:
        return 1.0 - np.arange(n) / n
    deviation = x - x.mean()
    deviation /= np.abs(deviation).max()  # squares of tiny numbers must not underflow
    spectrum = fft.rfft(deviation, fft.next_fast_len(2 * n, real=True))
    covariance = fft.irfft(spectrum * np.conj(spectrum), fft.next_fast_len(2 * n, real=True))[:n]
    return covariance / covariance[0]


def integrated_time(series: Float[np.ndarray, "samples"]) -> float:
    """Integrated autocorrelation time τ = 1/2 + Σ_k ρ_k in samples, between 1/2 (white noise) and n/2 (one sample).

    Estimator: Geyer's initial monotone sequence. Sums of neighbors Γ_m = ρ_2m + ρ_2m+1 are positive and decreasing for
    a reversible chain; the sum is cut at the first Γ_m that is not positive, and each Γ_m is replaced by the smallest
    so far. Where correlations oscillate (molecular vibrations) the cut comes early and τ is too large, which is the
    safe side; for the same reason anticorrelation never brings τ below 1/2. With fewer than about 10 effective samples
    τ is too small. Source: C. Geyer, Statist. Sci. 7 (1992) 473, section 3.3; τ as in A. Sokal, Monte Carlo Methods in
    Statistical Mechanics (Cargèse lectures, 1996), section 3. Against Sokal's window (5 τ) it has the smaller bias on
    short AR(1) series.
    """
    rho = autocorrelation(series)
    n = len(rho)
    if np.ptp(series) == 0.0:
        return n / 2.0
    pairs = rho[: n // 2 * 2].reshape(-1, 2).sum(axis=1)
    (not_positive,) = np.nonzero(pairs <= 0.0)
    pairs = pairs[: not_positive[0]] if len(not_positive) else pairs
    return float(np.clip(np.minimum.accumulate(pairs).sum() - 0.5, 0.5, n / 2.0))


def statistical_inefficiency(series: Float[np.ndarray, "samples"]) -> float:
    """g = 2τ = 1 + 2 Σ ρ_k: how many samples count as one; frames this far apart pass as independent."""
    return 2.0 * integrated_time(series)


def estimate_mean(series: Float[np.ndarray, "samples"]) -> MeanEstimate:
    """Mean with the standard error SD √(2τ / n), SD with n - 1 in its denominator, τ from the series itself."""
    x = _checked(series)
    n, tau = len(x), integrated_time(x)
    sd = float(x.std(ddof=1))
    return MeanEstimate(float(x.mean()), sd, tau, n, n / (2.0 * tau), standard_error(sd, tau, float(n)))


def standard_error(sd: float, tau: float, duration: float) -> float:
    """Standard error of a time average, SE = SD √(2τ / T); τ and T in one unit, whichever (samples, fs).

    For averages over samples that are dense on the scale of τ, or with τ and T both in samples. For sparse samples,
    whose τ was measured on a denser series, divide SD by the root of ``effective_samples``.
    """
    return sd * float(np.sqrt(2.0 * tau / duration))


def effective_samples(n: int, spacing: float, tau: float) -> float:
    """Effective size of n samples ``spacing`` apart, from a τ (same unit) that was measured on a denser series.

    n_eff = n tanh(spacing / 2τ), exact for exponentially decaying correlation and many samples: it is T / 2τ with
    T = n spacing where samples are dense, and n where they are far apart; no label is counted more than once.
    """
    if n < 1 or spacing <= 0 or tau <= 0:
        raise ValueError(f"expected positive n, spacing and tau; got {n}, {spacing}, {tau}")
    return n * float(np.tanh(spacing / (2.0 * tau)))


def find_plateau(series: Float[np.ndarray, "samples"], *, candidates: int = 100) -> Plateau:
    """Where equilibration ends: the start t0 that leaves the most effective samples, n_eff = (n - t0) / 2τ(t0).

    Tried at ``candidates`` evenly spaced starts, the first sample among them (so the start is found to n / candidates).
    A series that drifts to its end gets a late start and a small n_eff: look at n_eff before trusting the plateau.
    Source: J. Chodera, J. Chem. Theory Comput. 12 (2016) 1799, equation 10 (there g = 2τ).
    """
    x = _checked(series)
    n = len(x)
    best = None
    for start in np.unique(np.linspace(0, max(n - 4, 0), candidates).astype(int)).tolist():
        tau = integrated_time(x[start:])
        found = Plateau(start, tau, (n - start) / (2.0 * tau))
        if best is None or found.n_eff > best.n_eff:
            best = found
    assert best is not None, "zero is always a candidate"
    return best


def block_errors(series: Float[np.ndarray, "samples"]) -> list[BlockLevel]:
    """Standard error of the mean from block averages of doubling length: a check of ``estimate_mean``.

    At each level SE = √(c_0 / (n - 1)) with c_0 the variance of the n block means, uncertain by SE / √(2 (n - 1)); it
    grows with the block length until blocks are longer than the memory, and the plateau is the answer. An odd sample at
    the end is left out. Source: H. Flyvbjerg & H. Petersen, J. Chem. Phys. 91 (1989) 461, equations 27 and 28.
    """
    blocks = _checked(series)
    levels = []
    length = 1
    while len(blocks) >= 2:
        n = len(blocks)
        error = float(np.sqrt(blocks.var() / (n - 1)))
        levels.append(BlockLevel(length, n, error, error / float(np.sqrt(2.0 * (n - 1)))))
        blocks = blocks[: n // 2 * 2].reshape(-1, 2).mean(axis=1)
        length *= 2
    return levels


def _checked(series: Float[np.ndarray, "samples"]) -> Float[np.ndarray, "samples"]:
    x = np.asarray(series, dtype=np.float64)
    if x.ndim != 1 or len(x) < 2:
        raise ValueError(f"expected a series of at least 2 samples, got an array of shape {x.shape}")
    if not np.isfinite(x).all():
        raise ValueError(
            f"sample {int(np.argmin(np.isfinite(x)))} of the series is not finite; cut the series before it"
        )
    return x
