"""Langevin dynamics: one BAOAB step, assembled from jax-md's pieces.

    B: p += (Δt/2) F      A: r += (Δt/2) p/m      O: p = c p + √((1 - c²) m kT) ξ,  c = exp(-γ Δt)

in the order B A O A B, with the force computed once; a step is split where the force is needed, so that the caller can
look at the new positions first (is the neighbor list still good?). Momentum is not conserved, so the degrees of freedom
are 3N. jax-md's ``nvt_langevin`` fixes γ when it is built; here timestep, temperature and friction are arguments, so a
change never recompiles. Source: Leimkuhler & Matthews, Appl. Math. Res. Express 2013, 34 (BAOAB); jax-md
``simulate.py``.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax_md import simulate, space
from jaxtyping import Array, Float, PRNGKeyArray

LangevinState = simulate.NVTLangevinState
"""jax-md's state: position (Å), momentum (√(eV·u)), force (eV/Å), mass (atoms, 1) in u, rng."""

_, _shift = space.free()


def init(
    key: PRNGKeyArray,
    positions: Float[Array, "atoms 3"],
    masses: Float[Array, "atoms"],
    kT: Float[Array, ""] | float,
) -> Any:
    """A state with momenta drawn from Maxwell and Boltzmann's distribution at kT (eV), total momentum removed.

    Forces are zero: they are computed where a block begins.
    """
    key, draw = jax.random.split(key)
    masses = jnp.asarray(masses, positions.dtype)[:, None]
    momenta = jnp.sqrt(masses * kT) * jax.random.normal(draw, positions.shape, positions.dtype)
    # remove the velocity of the centre of mass, not the mean momentum: heavy atoms carry their share
    momenta = momenta - masses * momenta.sum(axis=0) / masses.sum()
    return LangevinState(positions, momenta, jnp.zeros_like(positions), masses, key)


def before_force(state: Any, timestep: Float[Array, ""], kT: Float[Array, ""], friction: Float[Array, ""]) -> Any:
    """B A O A: everything in a step that comes before the force at its new positions.

    timestep in Å·√(u/eV) (``units.FEMTOSECOND`` per fs), friction in its inverse, kT in eV.
    """
    half = 0.5 * timestep
    state = simulate.momentum_step(state, half)
    state = simulate.position_step(state, _shift, half)
    state = simulate.stochastic_step(state, timestep, kT, friction)
    return simulate.position_step(state, _shift, half)


def after_force(state: Any, forces: Float[Array, "atoms 3"], timestep: Float[Array, ""]) -> Any:
    """The closing B, with the force (eV/Å) at the positions that ``before_force`` reached."""
    return simulate.momentum_step(state.set(force=forces), 0.5 * timestep)


def kinetic_energy(state: Any) -> Float[Array, ""]:
    """Σ p²/2m in eV."""
    return 0.5 * jnp.sum(state.momentum**2 / state.mass)
