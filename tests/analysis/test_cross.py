"""Score 6 against ensembles that are known, and errors of one model on another's frames."""

import numpy as np
import pytest

from jaxft import units
from jaxft.analysis.cross import cross_cell, ensemble_distance

KT = units.KELVIN * 300.0


def boltzmann(random, stiffness, n):
    return random.normal(size=n) * np.sqrt(KT / stiffness)


def test_the_distance_is_the_sum_of_both_kullback_leibler_divergences():
    random = np.random.default_rng(0)
    a, b = 2.0, 3.0  # eV/Å² of two harmonic wells: reference and model
    on_reference = [boltzmann(random, a, 20000) for _ in range(4)]
    on_model = [boltzmann(random, b, 20000) for _ in range(4)]

    def delta(x):
        return 0.5 * (b - a) * x**2 + 7.0  # the constant must not matter

    found = ensemble_distance("FT1", [delta(x) for x in on_reference], [delta(x) for x in on_model], 300.0)
    kl = 0.5 * (b / a - 1 - np.log(b / a)) + 0.5 * (a / b - 1 + np.log(b / a))
    assert found.distance == pytest.approx(kl, abs=4 * found.error)
    assert found.error < 0.02
    assert (found.frames_reference, found.frames_model) == (80000, 80000)


def test_one_run_gives_a_distance_without_an_error():
    assert ensemble_distance("m", [np.ones(3)], [np.zeros(3), np.zeros(3)], 300.0).error is None


def test_errors_on_the_frames_of_another():
    numbers = np.array([8, 1, 1])
    reference = np.zeros((4, 3, 3))
    forces = reference.copy()
    forces[:, 0] += 0.2
    cell = cross_cell("FT1", "N-10pts", numbers, np.array([3.0, 6.0, 3.0, 6.0]), forces, np.zeros(4), reference)
    assert cell.residual == pytest.approx(1.5)
    assert cell.spread == pytest.approx(np.std([1.0, 2.0, 1.0, 2.0], ddof=1))
    assert cell.by_element == {"H": 0.0, "O": pytest.approx(0.2)}
    assert cell.force_rmse == pytest.approx(0.2 / np.sqrt(3))
    assert cell.energies == (1.0, 2.0, 1.0, 2.0)
