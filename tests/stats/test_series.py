"""Correlated series: τ, error bars and plateaus against processes whose answers are known."""

import numpy as np
import pytest
from scipy.signal import lfilter

from jaxft.stats.series import (
    autocorrelation,
    block_errors,
    effective_samples,
    estimate_mean,
    find_plateau,
    integrated_time,
    standard_error,
    statistical_inefficiency,
)


def ar1(phi, n, seed=0, rows=None):
    """x_t = phi x_{t-1} + noise, stationary; its τ is (1 + phi) / (1 - phi) / 2."""
    noise = np.random.default_rng(seed).normal(size=(rows or 1, n + 2000))
    series = lfilter([1.0], [1.0, -phi], noise, axis=1)[:, 2000:]
    return series if rows else series[0]


def tau_of_ar1(phi):
    return 0.5 * (1 + phi) / (1 - phi)


def test_autocorrelation_is_the_sum_over_products():
    x = ar1(0.7, 101)
    d = x - x.mean()
    full = np.correlate(d, d, mode="full")[100:] / np.sum(d**2)
    np.testing.assert_allclose(autocorrelation(x), full, atol=1e-13)


@pytest.mark.parametrize("phi", [0.0, 0.5, 0.9, 0.98])
def test_tau_of_a_long_autoregressive_series(phi):
    assert integrated_time(ar1(phi, 400_000)) == pytest.approx(tau_of_ar1(phi), rel=0.06)


@pytest.mark.parametrize(("phi", "n"), [(0.0, 100), (0.5, 300), (0.9, 1000)])
def test_standard_error_is_the_spread_of_means(phi, n):
    rows = ar1(phi, n, rows=400)
    claimed = np.mean([estimate_mean(row).standard_error for row in rows])
    assert claimed == pytest.approx(rows.mean(axis=1).std(ddof=1), rel=0.15)


def test_convention_gives_sd_over_root_n_for_white_noise():
    x = ar1(0.0, 50)
    assert standard_error(x.std(ddof=1), 0.5, 50.0) == pytest.approx(x.std(ddof=1) / np.sqrt(50))
    assert statistical_inefficiency(x) == 2 * integrated_time(x)


def test_estimate_hangs_together():
    x = ar1(0.8, 2000)
    found = estimate_mean(x)
    assert found.mean == x.mean()
    assert found.n_eff == pytest.approx(2000 / (2 * found.tau))
    assert found.standard_error == pytest.approx(found.sd / np.sqrt(found.n_eff))
    assert not found.too_short
    assert estimate_mean(ar1(0.98, 100)).too_short


def test_repeating_every_sample_multiplies_tau_and_keeps_the_error():
    x = ar1(0.0, 20_000)
    assert integrated_time(np.repeat(x, 8)) == pytest.approx(4.0, rel=0.1)
    once, repeated = estimate_mean(x), estimate_mean(np.repeat(x, 8))
    assert repeated.standard_error == pytest.approx(once.standard_error, rel=0.05)


def test_tau_does_not_depend_on_offset_scale_or_direction():
    x = ar1(0.6, 3000)
    tau = integrated_time(x)
    for other in (x - 17660.0, x * 1e-200, -3 * x, x[::-1]):
        assert integrated_time(other) == pytest.approx(tau, rel=1e-6)


def test_anticorrelation_is_not_credited():
    assert integrated_time(np.array([1.0, -1.0] * 50)) == 0.5


def test_oscillating_memory_is_never_underestimated():
    # damped oscillation: poles r exp(±iω); Σ ρ from the transfer function at zero frequency
    r, omega = 0.97, 0.4
    a = np.array([1.0, -2 * r * np.cos(omega), r**2])
    x = lfilter([1.0], a, np.random.default_rng(3).normal(size=402_000))[2000:]
    true = 0.5 / a.sum() ** 2 / x.var()
    assert integrated_time(x) >= true


def test_constant_series_is_one_sample():
    found = estimate_mean(np.full(40, 0.1))
    assert (found.tau, found.n_eff, found.too_short) == (20.0, 1.0, True)
    assert found.standard_error == pytest.approx(0.0, abs=1e-16)


def test_effective_samples_of_sparse_labels():
    # samples Δ apart of exp(-t/τ) are an AR(1) series with phi = exp(-Δ/τ), whose n_eff is known
    for spacing in (0.1, 1.0, 5.0):
        phi = np.exp(-spacing / 2.0)
        assert effective_samples(100, spacing, 2.0) == pytest.approx(100 * (1 - phi) / (1 + phi))
    assert effective_samples(20, 1e3, 1.0) == pytest.approx(20)
    assert effective_samples(10**6, 1e-3, 1.0) == pytest.approx(10**3 / 2, rel=1e-6)


def test_plateau_begins_where_the_transient_has_died():
    n, decay = 5000, 300.0
    transient = 20.0 * np.exp(-np.arange(n) / decay)
    found = [find_plateau(ar1(0.8, n, seed) * 0.6 + transient) for seed in range(6)]
    # below the noise (SD 1) after 3 decay times; and most of the run is kept
    assert all(3 * decay < plateau.start < 8 * decay for plateau in found)
    assert all(plateau.tau == pytest.approx(tau_of_ar1(0.8), rel=0.6) for plateau in found)


def test_stationary_series_keeps_nearly_everything():
    starts = [find_plateau(ar1(0.8, 4000, seed)).start for seed in range(10)]
    assert np.median(starts) < 0.1 * 4000


def test_drift_to_the_end_leaves_few_effective_samples():
    x = ar1(0.5, 2000) + np.linspace(0, 40, 2000)
    assert find_plateau(x).n_eff < 0.1 * estimate_mean(ar1(0.5, 2000)).n_eff


def test_blocks_of_white_noise_agree_at_every_level():
    x = ar1(0.0, 4096)
    levels = block_errors(x)
    assert levels[0].standard_error == pytest.approx(x.std(ddof=1) / 64)
    assert [level.block_length for level in levels] == [2**k for k in range(12)]
    for level in levels[:8]:
        assert abs(level.standard_error - levels[0].standard_error) < 4 * level.uncertainty


def test_blocks_and_tau_agree_on_the_error_of_a_correlated_mean():
    x = ar1(0.9, 2**17)
    long_blocks = next(level for level in block_errors(x) if level.block_length == 512)
    wanted = estimate_mean(x).standard_error
    assert abs(long_blocks.standard_error - wanted) < 4 * long_blocks.uncertainty
    assert block_errors(x)[0].standard_error < 0.3 * wanted


@pytest.mark.parametrize("bad", [np.array([1.0]), np.zeros((3, 3)), np.array([1.0, np.nan, 2.0])])
def test_series_that_say_nothing_are_refused(bad):
    for function in (autocorrelation, integrated_time, estimate_mean, find_plateau, block_errors):
        with pytest.raises(ValueError, match=r"expected a series|not finite"):
            function(bad)


def test_effective_samples_refuses_nonsense():
    with pytest.raises(ValueError, match="positive"):
        effective_samples(10, 0.0, 1.0)
