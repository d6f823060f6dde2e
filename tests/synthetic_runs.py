"""Made-up tests of models with known answers: residuals are an AR(1) process about a mean that the caller chose."""

import numpy as np
from scipy.signal import lfilter

from jaxft.analysis.model_test import ModelTest, SeedTest, Stop

WATERY = np.array([27] + [17] * 4 + [3] * 2 + [8] * 15 + [1] * 30)
SAMPLE_FS = 5.0


def ar1(rng, n, tau_samples):
    """Stationary AR(1) of variance 1 with integrated time tau (samples)."""
    phi = (2 * tau_samples - 1) / (2 * tau_samples + 1)
    settled = 2000
    noise = rng.normal(size=n + settled)
    return lfilter([1.0], [1.0, -phi], noise)[settled:] * np.sqrt(1 - phi**2)


def run(
    seed=0,
    *,
    numbers=WATERY,
    mean=0.010,
    sd=0.003,
    force_sd=0.1,
    n_frames=20,
    length_fs=5000.0,
    tau_fs=30.0,
    relax=0.0,
    relax_fs=300.0,
    stop_fs=None,
    failed=(),
):
    """One test run: residual mean + relax exp(-t/relax_fs) + AR(1) of that SD (eV/atom), forces wrong by white noise."""
    rng = np.random.default_rng(seed)
    n, samples = len(numbers), int(length_fs / SAMPLE_FS)
    dense_times = SAMPLE_FS * np.arange(1, samples + 1)
    decay = np.exp(-dense_times / relax_fs)
    energies = -17660.0 + 0.3 * ar1(rng, samples, tau_fs / SAMPLE_FS) + 8.0 * decay * bool(relax)
    residual = mean + relax * decay + sd * ar1(rng, samples, tau_fs / SAMPLE_FS)
    picked = np.arange(1, n_frames + 1) * samples // n_frames - 1
    if stop_fs is not None:
        dense_times, energies = dense_times[dense_times <= stop_fs], energies[dense_times <= stop_fs]
        picked = picked[picked < len(dense_times)]
    model = energies[picked]
    forces = rng.normal(size=(len(picked), n, 3))
    reference = model - n * residual[picked]
    reference_forces = forces - force_sd * rng.normal(size=forces.shape)
    for k in failed:
        reference[k], reference_forces[k] = np.nan, np.nan
    return SeedTest(
        seed=seed,
        times_fs=dense_times[picked],
        model_energies=model,
        reference_energies=reference,
        model_forces=forces,
        reference_forces=reference_forces,
        failures=dict.fromkeys(failed, "not converged"),
        dense_times_fs=dense_times,
        dense_energies=energies,
        stopped=None if stop_fs is None else Stop(stop_fs, "two atoms too close"),
        length_fs=length_fs,
    )


def model_test(name="FT1", strategy="periodic", budget=10, *, seeds, training_mean=0.0, **changes):
    """A model with those runs; its training residuals have SD 1 meV/atom about ``training_mean``."""
    rng = np.random.default_rng(99)
    trained = rng.normal(size=budget) * 1e-3
    fields = {
        "numbers": WATERY,
        "temperature": 350.0,
        "offset_standard_error": 0.0008,
        "training_residuals": trained - trained.mean() + training_mean,
    }
    return ModelTest(name=name, strategy=strategy, budget=budget, seeds=tuple(seeds), **{**fields, **changes})


def study(n_seeds=3, **changes):
    """Six models like the paper's: naive plateaus high, periodic ones low, one run lost, one label failed."""
    plan = (
        ("base", "base", 10, 0.013, 0.0060, 0.30, 0.009),
        ("N-10pts", "naive", 10, 0.0125, 0.0045, 0.19, 0.008),
        ("N-31pts", "naive", 31, 0.0110, 0.0036, 0.14, 0.007),
        ("N-50pts", "naive", 50, 0.0095, 0.0032, 0.12, 0.006),
        ("FT1", "periodic", 10, 0.0030, 0.0042, 0.18, 0.006),
        ("FT2", "periodic", 31, -0.0030, 0.0030, 0.12, 0.004),
        ("FT3", "periodic", 50, -0.0052, 0.0024, 0.09, 0.003),
    )
    tests = []
    for k, (name, strategy, budget, mean, sd, force_sd, relax) in enumerate(plan):
        runs = []
        for seed in range(n_seeds):
            stop = 3100.0 if (name, seed) == ("N-10pts", 1) else None
            failed = (13,) if (name, seed) == ("FT2", 2) else ()
            options = {"mean": mean, "sd": sd, "force_sd": force_sd, "relax": -relax, "stop_fs": stop, "failed": failed}
            made = run(100 * k + seed, **{**options, **changes})
            runs.append(SeedTest(**{**vars(made), "seed": seed}))
        tests.append(model_test(name, strategy, budget, seeds=runs, offset_standard_error=0.003 / budget**0.5))
    return tests
