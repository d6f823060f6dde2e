"""Mean-squared displacement against its definition, and diffusion of walkers whose coefficient is known."""

import json
from dataclasses import asdict

import numpy as np
import pytest

from jaxft.analysis.displacement import displacement, mean_squared
from jaxft.analysis.frames import Frames
from jaxft.errors import InputError

BOX = np.eye(3) * 8.0


def by_definition(positions):
    n = len(positions)
    return [np.square(positions[m:] - positions[: n - m]).sum(axis=-1).mean() for m in range(n)]


def walkers(n, *, sd=0.05, seed=0, numbers=(3, 3, 3, 3, 8, 8, 8, 8), frame_fs=10.0, step=None):
    rng = np.random.default_rng(seed)
    steps = sd * rng.normal(size=(n, len(numbers), 3)) if step is None else step
    return Frames(np.cumsum(steps, axis=0), BOX, np.ones(3, bool), np.array(numbers), frame_fs)


@pytest.mark.parametrize("n", [1, 2, 7, 64])
def test_by_fft_it_is_what_the_definition_says(n):
    positions = 1000.0 + np.cumsum(np.random.default_rng(n).normal(size=(n, 3, 3)), axis=0)
    np.testing.assert_allclose(mean_squared(positions), by_definition(positions), rtol=1e-9, atol=1e-9)


def test_free_flight_is_quadratic():
    velocity = np.array([[0.1, 0.0, -0.2]])
    positions = np.arange(50)[:, None, None] * velocity
    np.testing.assert_allclose(mean_squared(positions), 0.05 * np.arange(50) ** 2, atol=1e-10)


def test_random_walkers_diffuse_as_they_must():
    # D = sd²/2 per step in each direction; taking out the mean of 40 equal walkers leaves 39/40 of it
    expected = 0.05**2 / 2 / 10.0 * 39 / 40
    runs = [walkers(6000, seed=k, numbers=(8,) * 40) for k in range(3)]
    found = displacement(runs, "O").diffusion
    assert found.value == pytest.approx(expected, abs=3 * found.error)
    assert found.error < 0.1 * expected
    assert found.why is None
    assert displacement(runs, "O").diffusion_m2_per_s == pytest.approx(found.value * 1e-5)


def test_the_error_covers_the_truth_about_as_often_as_it_should():
    expected = 0.05**2 / 2 / 10.0 * 5 / 6
    inside = []
    for seed in range(40):
        estimate = displacement([walkers(1200, seed=seed, numbers=(8,) * 6)]).diffusion
        if estimate.value is not None:
            inside.append(abs(estimate.value - expected) < 2 * estimate.error)
    assert len(inside) > 30
    assert np.mean(inside) > 0.8


def test_a_box_that_is_pushed_around_moves_no_atom():
    still = walkers(2000, seed=1)
    pushed = Frames(
        still.positions + np.linspace([0, 0, 0], [90.0, 0, -50.0], 2000)[:, None], BOX, still.pbc, still.numbers, 10.0
    )
    np.testing.assert_allclose(displacement([pushed], "Li").msd, displacement([still], "Li").msd, rtol=1e-6, atol=1e-9)


def test_the_curve_of_a_long_run_is_that_of_the_definition():
    # heavy atoms that rest hold the center of mass, so that what is left is the light one's own walk
    rng = np.random.default_rng(4)
    steps = np.zeros((400, 2, 3))
    steps[:, 0] = 0.05 * rng.normal(size=(400, 3))
    stream = walkers(400, numbers=(1, 92), step=steps)
    found = displacement([stream], "H")
    blocks = [by_definition(stream.positions[k : k + 40, :1])[:21] for k in range(0, 400, 40)]
    np.testing.assert_allclose(found.msd, np.mean(blocks, axis=0), rtol=0.01)
    np.testing.assert_allclose(found.lags_fs, 10.0 * np.arange(21))
    assert found.fitted_fs == (100.0, 200.0)


def test_a_cage_is_no_diffusion():
    positions = np.random.default_rng(0).normal(size=(2000, 8, 3))
    found = displacement([walkers(2000, step=np.diff(positions, axis=0, prepend=0.0) * 0.1)], "O")
    assert abs(found.power) < 0.1
    assert found.diffusion.value is None
    assert "too short for diffusion: the displacement grows with the power" in found.diffusion.why
    assert found.error is not None, "the curve and its band are there all the same"


def test_atoms_that_rest_do_not_diffuse():
    found = displacement([walkers(200, step=np.zeros((200, 8, 3)))])
    assert found.diffusion.value is None
    assert "does not grow" in found.diffusion.why


@pytest.mark.parametrize("n", [1, 2, 79])
def test_few_frames_have_a_curve_and_no_coefficient(n):
    found = displacement([walkers(n)])
    assert found.diffusion.why == f"too short for an error bar: {n} frames, expected at least 80"
    assert (found.error, found.power, found.msd[0]) == (None, None, 0.0)
    assert len(found.msd) == n // 2 + 1
    json.dumps(asdict(found), allow_nan=False)


def test_of_a_long_run_every_few_frames_are_enough(monkeypatch):
    stream = walkers(4000, numbers=(8,) * 20, seed=9)
    whole = displacement([stream])
    monkeypatch.setattr("jaxft.analysis.displacement.FRAMES_AT_MOST", 1500)
    thinned = displacement([stream])
    assert thinned.n_frames == 1334
    assert thinned.lags_fs[1] == 30.0
    assert thinned.diffusion.value == pytest.approx(whole.diffusion.value, abs=2 * whole.diffusion.error)
    assert thinned.msd[1] == pytest.approx(whole.msd[3], rel=0.05)


def test_positions_that_are_wrapped_are_refused():
    stream = walkers(3000, sd=0.2)
    wrapped = Frames(stream.positions % 8.0, BOX, stream.pbc, stream.numbers, 10.0)
    with pytest.raises(InputError, match="positions are wrapped into the cell"):
        displacement([wrapped])


def test_what_can_not_be_averaged_is_named():
    moving = Frames(np.zeros((3, 8, 3)), np.repeat(BOX[None], 3, axis=0), np.ones(3, bool), walkers(3).numbers, 10.0)
    with pytest.raises(InputError, match="the cell of run 0 moves"):
        displacement([moving])
    with pytest.raises(InputError, match="no Co among Li, O"):
        displacement([walkers(3)], "Co")
    with pytest.raises(InputError, match="run 1 has other atoms"):
        displacement([walkers(3), walkers(3, numbers=(8,) * 8)])
    with pytest.raises(InputError, match="20 fs apart, those of run 0 10 fs"):
        displacement([walkers(3), walkers(3, frame_fs=20.0)])
    with pytest.raises(InputError, match="at least one frame"):
        displacement([])
