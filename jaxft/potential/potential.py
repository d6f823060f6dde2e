"""Potential: a network, its parameters, its table of elements and its reference energies. Frozen: changes make a new one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from flax import linen as nn
from jaxtyping import Float

from jaxft.errors import InputError
from jaxft.structures.species import species_of

if TYPE_CHECKING:
    from jaxft.potential.calculator import JaxftCalculator


@dataclass(frozen=True)
class Potential:
    """An interatomic potential, E = Σ_i (network_i + E0[species_i]).

    network             flax module: (edge vectors, species, senders, receivers) → NodeOutputs
    params              its parameters as ``network.init`` returns them; float32, or float64 where they came so
    atomic_numbers      table of elements: species index → Z
    reference_energies  (elements,) E0 in eV, float64; added on the host, never inside the network
    heads               the level of theory that it stands for, where it was chosen among several when it was loaded
    provenance          where it came from: source, licence, parent, training record; plain JSON values
    """

    network: nn.Module
    params: Any
    atomic_numbers: tuple[int, ...]
    reference_energies: Float[np.ndarray, "elements"]
    heads: tuple[str, ...] = ("default",)
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def elements(self) -> tuple[str, ...]:
        """Chemical symbols that the potential knows."""
        return tuple(chemical_symbols[z] for z in self.atomic_numbers)

    @property
    def cutoff(self) -> float:
        """Cutoff of one interaction layer in Å."""
        return float(self.network.cutoff)

    @property
    def n_parameters(self) -> int:
        """How many numbers were learned."""
        import jax

        return sum(int(np.size(leaf)) for leaf in jax.tree.leaves(self.params))

    def reference_energy(self, atoms: Atoms) -> float:
        """Σ_i E0[species_i] in eV, in float64."""
        return float(self.reference_energies[species_of(atoms.numbers, self.atomic_numbers)].sum())

    def calculator(self, dtype: str = "float32") -> JaxftCalculator:
        """An ASE calculator; ``dtype="float64"`` needs JAX_ENABLE_X64=1."""
        from jaxft.potential.calculator import JaxftCalculator

        return JaxftCalculator(self, dtype=dtype)

    def descriptors(
        self, atoms: Atoms, layers: str = "last", dtype: str = "float32"
    ) -> Float[np.ndarray, "atoms features"]:
        """Invariant features of each atom: the even scalars after the last layer, or after ``layers="all"`` of them."""
        from jaxft.potential.descriptors import descriptors

        return descriptors(self, atoms, layers=layers, dtype=dtype)

    def save(self, folder: str | Path) -> None:
        """Write ``config.json`` and ``params.safetensors`` into ``folder``; ``jaxft.load`` reads it back."""
        from jaxft.potential.checkpoint import save

        save(self, folder)


def cast_parameters(params: Any, dtype: np.dtype | type | str) -> Any:
    """Parameters in another precision; InputError for float64 where JAX has it switched off."""
    import jax

    if np.dtype(dtype) == np.float64 and jax.dtypes.canonicalize_dtype(np.float64) != np.float64:
        raise InputError(
            "float64 was asked for, but JAX runs with float32 only; set JAX_ENABLE_X64=1 in the environment "
            "(or jax.config.update('jax_enable_x64', True) before any array is made)"
        )
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype=dtype), params)
