"""BAOAB against an implementation of its own in NumPy."""

import jax
import numpy as np
from lennard_jones import ample, argon, liquid

from jaxft import units
from jaxft.md.dynamics import begin
from jaxft.md.simulation import advance
from jaxft.potential.evaluate import Evaluator


def test_two_steps_are_those_of_baoab_in_numpy_with_the_same_noise():
    simulation = liquid(1, frame_every=1, friction_per_ps=20.0)
    dynamics = simulation.replicas.dynamics
    evaluator, atoms = Evaluator(argon(), dtype="float64"), simulation.atoms(0)
    r, p, m = atoms.positions, atoms.get_momenta(), atoms.get_masses()[:, None]
    dt, kT = 5.0 * units.FEMTOSECOND, 120.0 * units.KELVIN
    c = np.exp(-0.020 * 5.0)
    key = dynamics.rng[0]
    force = evaluator(atoms).forces
    positions = []
    for _ in range(2):
        key, split = jax.random.split(key)
        noise = np.asarray(jax.random.normal(split, r.shape, "float64"))
        p = p + 0.5 * dt * force
        r = r + 0.5 * dt * p / m
        p = c * p + np.sqrt((1.0 - c**2) * m * kT) * noise
        r = r + 0.5 * dt * p / m
        atoms.positions = r
        force = evaluator(atoms).forces
        p = p + 0.5 * dt * force
        positions.append(r)
    _, frames = advance(simulation, 2)
    np.testing.assert_allclose(frames.positions[:, 0], positions, rtol=0, atol=1e-11)
    np.testing.assert_allclose(frames.momenta[-1, 0], p, rtol=0, atol=1e-10)


def test_momenta_start_with_the_variance_of_their_temperature_and_no_net_momentum():
    masses = np.tile([1.0, 16.0, 60.0, 35.0], 500)
    state = begin(jax.random.key(1), np.zeros((2000, 3)), masses, np.eye(3), 0.03)
    np.testing.assert_allclose(np.asarray(state.momentum).sum(axis=0), 0.0, atol=1e-9)
    per_mass = np.asarray((state.momentum**2 / state.mass).reshape(500, 4, 3).mean(axis=(0, 2)))
    # 1500 numbers for each mass: standard error 3.7 %
    np.testing.assert_allclose(per_mass, 0.03, rtol=0.15)


def test_a_heavy_atom_carries_its_share_when_the_net_momentum_is_removed():
    keys = jax.random.split(jax.random.key(2), 1000)
    pairs = jax.vmap(lambda k: begin(k, np.zeros((2, 3)), np.array([1.0, 100.0]), np.eye(3), 0.03).momentum)(keys)
    # ⟨p²⟩ = μkT per direction with the reduced mass μ; 3000 numbers: standard error 2.6 %
    np.testing.assert_allclose((np.asarray(pairs) ** 2).mean(axis=(0, 2)), 0.03 * 100.0 / 101.0, rtol=0.12)


def test_kinetic_energy_of_warm_argon_is_three_halves_kt_per_atom():
    simulation, _ = advance(ample(liquid(3, friction_per_ps=20.0)), 20)
    simulation, first = advance(simulation, 20)
    _, second = advance(simulation, 20)
    temperature = np.concatenate([first.kinetic, second.kinetic]) / (1.5 * 32 * units.KELVIN)
    # 120 frames, 50 fs apart with a friction of 1/50 fs, of 96 degrees of freedom: standard error 1.5 %
    assert abs(temperature.mean() / 120.0 - 1.0) < 0.06
    assert 0.08 < temperature.std() / 120.0 < 0.22  # √(2/96) = 0.144
