"""Saving and restoring the state of a simulation."""

import jax
import numpy as np
import pytest
from lennard_jones import argon, liquid

from jaxft.errors import InputError
from jaxft.md.checkpoint import restore, save_checkpoint
from jaxft.md.identity import identity_of
from jaxft.md.simulation import advance, at_temperature, under


@pytest.fixture(scope="module")
def begun():
    """A simulation as it begins, and one block later."""
    simulation = liquid(2)
    return simulation, advance(simulation, 4)[0]


@pytest.fixture
def path(begun, tmp_path):
    """A checkpoint of the later state."""
    simulation, later = begun
    save_checkpoint(tmp_path / "state.safetensors", later, 4, identity_of(simulation))
    return tmp_path / "state.safetensors"


def raw(simulation):
    """All numbers of the state."""
    replicas = simulation.replicas
    dynamics = replicas.dynamics
    state = replicas, dynamics.set(rng=jax.random.key_data(dynamics.rng)), simulation.bath
    return [
        np.asarray(leaf)
        for leaf in jax.tree.leaves(state)
        if not jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    ]


def test_every_number_of_the_state_comes_back(begun, path):
    simulation, later = begun
    restored, frames = restore(simulation, path)
    assert frames == 4
    for a, b in zip(raw(restored), raw(later), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)
    assert (restored.edges, restored.candidates) == (later.edges, later.candidates)


def test_a_restored_simulation_goes_on_with_the_same_bits(begun, path):
    simulation, later = begun
    _, expected = advance(later, 4)
    _, found = advance(restore(simulation, path).simulation, 4)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_temperature_of_the_bath_comes_back(begun, tmp_path):
    simulation, later = begun
    path = tmp_path / "warmer.safetensors"
    save_checkpoint(path, at_temperature(later, 200.0), 4, identity_of(simulation))
    np.testing.assert_array_equal(restore(simulation, path).simulation.bath.kT, at_temperature(later, 200.0).bath.kT)


@pytest.mark.parametrize(
    ("other", "what"),
    [
        (lambda s: under(s, argon(epsilon=0.011)), "parameters"),
        (lambda s: liquid(2, seed=1), "start"),
        (lambda s: liquid(3), "start"),
        (lambda s: liquid(2, timestep_fs=4.0), "settings"),
        (lambda s: at_temperature(s, 130.0), "start"),
        (lambda s: liquid(2, dtype="float32"), "parameters"),
    ],
)
def test_another_run_is_refused_and_told_what_differs(begun, path, other, what):
    with pytest.raises(InputError, match=f"another run: {what} was"):
        restore(other(begun[0]), path)


def test_damaged_and_missing_files_are_refused(begun, path, tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        restore(begun[0], tmp_path / "none")
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(InputError, match="damaged"):
        restore(begun[0], path)
    path.write_text("{}")
    with pytest.raises(InputError, match="damaged"):
        restore(begun[0], path)
