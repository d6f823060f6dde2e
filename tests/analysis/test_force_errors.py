"""Score 4 on own frames, against NumPy."""

import numpy as np
import pytest
from synthetic_runs import WATERY, model_test, run

from jaxft.analysis.scores import scores


@pytest.fixture
def two_seeds():
    """Two seeds, two labels of the second failed; oxygen's forces are wrong three times as much."""
    seeds = [run(0), run(1, failed=(3, 19))]
    for seed in seeds:
        oxygen = WATERY == 8
        difference = seed.reference_forces - seed.model_forces
        seed.reference_forces[:, oxygen] += 2 * difference[:, oxygen]
    return model_test(seeds=seeds)


def differences(test, atoms):
    return np.concatenate(
        [(s.model_forces - s.reference_forces)[sorted(set(range(20)) - set(s.failures))][:, atoms] for s in test.seeds]
    )


def test_rmse_over_all_labelled_frames(two_seeds):
    found = scores(two_seeds).forces
    wrong = differences(two_seeds, slice(None))
    assert wrong.shape[0] == found.rmse.n == 38
    assert found.rmse.value == pytest.approx(np.sqrt((wrong**2).mean()))
    assert found.frame_median == pytest.approx(np.median(np.sqrt((wrong**2).mean(axis=(1, 2)))))


def test_rmse_of_each_element(two_seeds):
    found = scores(two_seeds).forces.by_element
    assert list(found) == ["H", "Li", "O", "Cl", "Co"]
    for symbol, number in (("H", 1), ("O", 8), ("Co", 27)):
        wrong = differences(two_seeds, number == WATERY)
        assert found[symbol].value == pytest.approx(np.sqrt((wrong**2).mean()))
    assert found["O"].value == pytest.approx(3 * found["H"].value, rel=0.1)


def test_error_of_the_rmse_is_its_spread_over_repetitions():
    found = [scores(model_test(seeds=[run(9 * k + s) for s in range(3)])).forces.rmse for k in range(40)]
    assert np.mean([f.error for f in found]) == pytest.approx(np.std([f.value for f in found]), rel=0.4)


def test_perfect_forces_have_no_error():
    found = scores(model_test(seeds=[run(0, force_sd=0.0)])).forces.rmse
    assert (found.value, found.error) == (0.0, 0.0)
