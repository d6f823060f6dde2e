"""Argon as a network: physical dynamics that compile fast. Also imported by the processes that the tests kill."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
from ase import Atoms
from ase.build import bulk
from flax import linen as nn

from jaxft.md.settings import MDSettings
from jaxft.md.simulation import Simulation, start
from jaxft.potential.nequip import NodeOutputs
from jaxft.potential.potential import Potential

REFERENCE_ENERGY = -1234.5


class LennardJones(nn.Module):
    """4ε[(σ/r)¹² - (σ/r)⁶] (1 - r²/c²)² below the cutoff c."""

    cutoff: float = 6.0

    @nn.compact
    def __call__(self, vectors, species, senders, receivers):
        epsilon = self.param("epsilon", nn.initializers.constant(0.0104), ())
        sigma = self.param("sigma", nn.initializers.constant(3.4), ())
        square = jnp.sum(vectors**2, axis=-1)
        sixth = (sigma**2 / square) ** 3
        switch = jnp.where(square < self.cutoff**2, (1.0 - square / self.cutoff**2) ** 2, 0.0)
        pairs = 4.0 * epsilon * (sixth**2 - sixth) * switch
        energies = 0.5 * jax.ops.segment_sum(pairs, receivers, species.shape[0])
        return NodeOutputs(energies, (energies[:, None],))


def argon(epsilon: float = 0.0104, cutoff: float = 6.0) -> Potential:
    """Lennard-Jones argon, eV and Å; network energies differ from total ones by REFERENCE_ENERGY per atom."""
    params = {"params": {"epsilon": np.float32(epsilon), "sigma": np.float32(3.4)}}
    return Potential(LennardJones(cutoff), params, (18,), np.array([REFERENCE_ENERGY]))


def crystal(seed: int = 0) -> Atoms:
    """32 atoms near their fcc sites in a cell of 10.8 Å, less than twice cutoff + skin."""
    atoms = bulk("Ar", "fcc", a=5.4, cubic=True).repeat(2)
    atoms.rattle(0.05, seed=seed)
    return atoms


def ample(simulation: Simulation) -> Simulation:
    """The same with room for more edges than it will ever have."""
    return replace(simulation, edges=768, candidates=1536)


def liquid(n_replicas: int = 1, *, seed: int = 0, dtype: str = "float64", **settings) -> Simulation:
    """Replicas of warm argon, ready to run."""
    options = {"temperature": 120.0, "timestep_fs": 5.0, "friction_per_ps": 2.0, "frame_every": 10, **settings}
    structures = [crystal(seed + r) for r in range(n_replicas)]
    return start(argon(), structures, MDSettings(**options), jax.random.key(seed), dtype=dtype)
