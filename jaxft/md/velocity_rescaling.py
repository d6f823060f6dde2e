"""Stochastic velocity rescaling (the thermostat of Bussi, Donadio & Parrinello): canonical, and gentle on dynamics.

All momenta are multiplied by one factor α, drawn so that the kinetic energy follows its own exact stochastic equation:

    α² = c + (1 - c) (kT / 2K) (R₁² + S) + 2 R₁ √(c (1 - c) kT / 2K),      c = exp(-Δt/τ)

with R₁ a normal deviate and S a chi-square deviate with n_dof - 1 degrees of freedom. The factor is applied between the two
half drifts of velocity Verlet, where BAOAB has its O. Momentum is conserved. Source: J. Chem. Phys. 126 (2007) 014101,
equation A7; its effective energy, total energy minus the heat that the thermostat has given, is conserved. jax-md 0.2.29's
``temp_csvr`` reuses its key and does not take kT at run time.
"""

import jax
import jax.numpy as jnp
from jax_md import simulate

from jaxft.md.dynamics import Bath, Dynamics, kinetic_energy
from jaxft.md.nve import shift


def before_force(state: Dynamics, bath: Bath, n_dof: int) -> Dynamics:
    """Half kick, half drift, rescaling, half drift."""
    half = 0.5 * bath.timestep
    state = simulate.momentum_step(state, half)
    state = simulate.position_step(state, shift, half)
    state = _rescale(state, bath, n_dof)
    return simulate.position_step(state, shift, half)


def after_force(state: Dynamics, bath: Bath, n_dof: int) -> Dynamics:
    """The closing half kick."""
    del n_dof
    return simulate.momentum_step(state, 0.5 * bath.timestep)


def _rescale(state: Dynamics, bath: Bath, n_dof: int) -> Dynamics:
    rng, normal_key, gamma_key = jax.random.split(state.rng, 3)
    dtype = state.momentum.dtype
    kinetic = kinetic_energy(state)
    c = jnp.exp(-bath.timestep / bath.thermostat_time)
    ratio = bath.kT / (2.0 * kinetic)
    first = jax.random.normal(normal_key, (), dtype)
    others = 2.0 * jax.random.gamma(gamma_key, 0.5 * (n_dof - 1), (), dtype)
    squared = c + (1.0 - c) * ratio * (first**2 + others) + 2.0 * first * jnp.sqrt(c * (1.0 - c) * ratio)
    # the factor is negative where the deviate of its own degree of freedom turned round (Bussi's equation A8)
    sign = jnp.where(first + jnp.sqrt(c / ((1.0 - c) * ratio)) >= 0.0, 1.0, -1.0)
    factor = (sign * jnp.sqrt(squared)).astype(dtype)
    return state.set(momentum=factor * state.momentum, rng=rng, heat=state.heat + (squared - 1.0) * kinetic)
