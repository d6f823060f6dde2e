"""The state of one replica, whatever its ensemble, and what can be read off it.

One record for all ensembles, so that blocks, checkpoints and guards need not know which one runs; what an ensemble does not
use stays zero. jax-md's ``momentum_step``, ``position_step`` and ``stochastic_step`` work on it.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from jaxft import pytree

CHAIN = 3
"""Length of Nosé–Hoover chains; three are enough to be ergodic (Martyna, Klein & Tuckerman 1992)."""


@pytree.pytree
class Dynamics:
    """State of one replica.

    position, momentum, force  (atoms, 3)  Å, not wrapped; √(eV·u); eV/Å
    mass             (atoms, 1)  u
    cell             (3, 3)      Å, rows are lattice vectors; constant unless the ensemble has a barostat
    virial           ()          tr ∂E/∂ε in eV at the present positions
    rng              ()          key of the noise
    heat             ()          eV that a stochastic thermostat has put into the atoms so far
    chain_position, chain_momentum  (2, CHAIN)  Nosé–Hoover chains of the atoms and of the barostat; 1; √(eV·u)·Å
    strain_momentum  ()          momentum of ln V / 3, eV·Å·√(u/eV)
    """

    position: Float[Array, "atoms 3"]
    momentum: Float[Array, "atoms 3"]
    force: Float[Array, "atoms 3"]
    mass: Float[Array, "atoms 1"]
    cell: Float[Array, "3 3"]
    virial: Float[Array, ""]
    rng: PRNGKeyArray
    heat: Float[Array, ""]
    chain_position: Float[Array, "2 chain"]
    chain_momentum: Float[Array, "2 chain"]
    strain_momentum: Float[Array, ""]

    def set(self, **changes: Any) -> "Dynamics":
        """A copy with some fields changed (the name by which jax-md's pieces know it)."""
        return pytree.replace(self, **changes)


@pytree.pytree
class Bath:
    """What the system is coupled to, and how; every ensemble reads what it needs.

    kT          eV, per replica in a simulation
    timestep    Å·√(u/eV) (``units.FEMTOSECOND`` per fs)
    friction    of Langevin dynamics, in the inverse of that
    thermostat_time, barostat_time  relaxation times in that unit
    pressure    eV/Å³
    """

    kT: Float[Array, "*replicas"]
    timestep: Float[Array, ""]
    friction: Float[Array, ""]
    thermostat_time: Float[Array, ""]
    barostat_time: Float[Array, ""]
    pressure: Float[Array, ""]


def begin(
    key: PRNGKeyArray,
    positions: Float[Array, "atoms 3"],
    masses: Float[Array, "atoms"],
    cell: Float[Array, "3 3"],
    kT: Float[Array, ""] | float,
) -> Dynamics:
    """A state with momenta drawn from Maxwell and Boltzmann's distribution at kT (eV), total momentum removed.

    Forces and virial are zero: they are computed where a block begins.
    """
    key, draw = jax.random.split(key)
    dtype = positions.dtype
    masses = jnp.asarray(masses, dtype)[:, None]
    momenta = jnp.sqrt(masses * kT) * jax.random.normal(draw, positions.shape, dtype)
    # remove the velocity of the centre of mass, not the mean momentum: heavy atoms carry their share
    momenta = momenta - masses * momenta.sum(axis=0) / masses.sum()
    zero, chains = jnp.zeros((), dtype), jnp.zeros((2, CHAIN), dtype)
    return Dynamics(positions, momenta, jnp.zeros_like(positions), masses, cell, zero, key, zero, chains, chains, zero)


def kinetic_energy(state: Dynamics) -> Float[Array, ""]:
    """Σ p²/2m in eV."""
    return 0.5 * jnp.sum(state.momentum**2 / state.mass)


def volume(state: Dynamics) -> Float[Array, ""]:
    """Volume of the cell in Å³."""
    return jnp.abs(jnp.linalg.det(state.cell))


def pressure(state: Dynamics) -> Float[Array, ""]:
    """Instantaneous pressure (2K - tr ∂E/∂ε) / 3V in eV/Å³, positive in compression; means nothing without a periodic cell."""
    return (2.0 * kinetic_energy(state) - state.virial) / (3.0 * volume(state))
