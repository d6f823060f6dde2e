"""A committee: potentials of one network that were trained alike but not equally; where they disagree, none of them knows.

    F_i = mean_k F_ki        σ_i = √( Σ_k |F_ki - F_i|² / (K - 1) )

for the force on atom i by member k of K; energies and stress likewise. The spread is a sign of what the training set does not
determine; what all members have from a common parent, its bias included, it does not show. Source: H. S. Seung, M. Opper,
H. Sompolinsky, Query by committee (COLT 1992), as used for potentials by Smith et al. (J. Chem. Phys. 148 (2018) 241733).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ase import Atoms
from flax import linen as nn
from jaxtyping import Float

from jaxft.errors import InputError
from jaxft.potential.derivatives import Prediction, predict
from jaxft.potential.evaluate import Evaluator
from jaxft.potential.potential import Potential, cast_parameters
from jaxft.structures.graph import Graph
from jaxft.structures.species import species_of


@dataclass(frozen=True)
class CommitteePrediction:
    """Means over the members, and how far they are apart (standard deviations).

    energy           eV
    energies         (atoms,) eV
    forces           (atoms, 3) eV/Å
    stress           (3, 3) eV/Å³, ASE's sign; None unless periodic in all directions
    energy_spread    eV, of total energies
    energies_spread  (atoms,) eV, of atomic energies
    forces_spread    (atoms,) eV/Å, of force vectors
    """

    energy: float
    energies: Float[np.ndarray, "atoms"]
    forces: Float[np.ndarray, "atoms 3"]
    stress: Float[np.ndarray, "3 3"] | None
    energy_spread: float
    energies_spread: Float[np.ndarray, "atoms"]
    forces_spread: Float[np.ndarray, "atoms"]


class Committee:
    """Members that are evaluated side by side, in one program, on one structure at a time."""

    def __init__(self, members: Sequence[Potential], dtype: str = "float32") -> None:
        """Raises InputError for fewer than two members, and for members of different networks or elements."""
        if len(members) < 2:
            raise InputError(f"a committee needs at least two members, got {len(members)}")
        first = members[0]
        for other in members[1:]:
            if other.network != first.network or other.atomic_numbers != first.atomic_numbers:
                raise InputError(
                    "the members of a committee must have one network and one table of elements; these differ"
                )
        self.members = tuple(members)
        self._evaluator = Evaluator(first, dtype=dtype)
        params = [cast_parameters(member.params, dtype) for member in members]
        self._params = jax.tree.map(lambda *leaves: jnp.stack(leaves), *params)
        self._references = np.stack([np.asarray(member.reference_energies, np.float64) for member in members])

    def __call__(self, atoms: Atoms) -> CommitteePrediction:
        """What the members say. Raises InputError for unknown elements and degenerate cells."""
        network = self.members[0].network
        said = _members_predict(network, self._params, self._evaluator.graph(atoms))
        species = species_of(atoms.numbers, self.members[0].atomic_numbers)
        n = len(atoms)
        energies = np.asarray(said.node_energies, np.float64)[:, :n] + self._references[:, species]
        forces = np.asarray(said.forces, np.float64)[:, :n]
        stress = None
        if atoms.pbc.all():
            stress = np.asarray(said.virials, np.float64)[:, 0].mean(axis=0) / abs(np.linalg.det(atoms.cell.array))
        return CommitteePrediction(
            energy=float(energies.sum(axis=1).mean()),
            energies=energies.mean(axis=0),
            forces=forces.mean(axis=0),
            stress=stress,
            energy_spread=float(energies.sum(axis=1).std(ddof=1)),
            energies_spread=energies.std(axis=0, ddof=1),
            forces_spread=np.sqrt(forces.var(axis=0, ddof=1).sum(axis=-1)),
        )


def load_committee(folder: str | Path, dtype: str = "float32") -> Committee:
    """The members ``model-0``, ``model-1`` ... that ``jaxft finetune`` left in a folder."""
    from jaxft.potential.load import load

    folders = sorted(Path(folder).glob("model-*"), key=lambda path: int(path.name.removeprefix("model-")))
    if not folders:
        raise InputError(
            f"{folder} has no model-0, model-1 ...; expected the folder of a fine-tune with committee.members above 1"
        )
    return Committee([load(path) for path in folders], dtype=dtype)


@partial(jax.jit, static_argnums=0)
def _members_predict(network: nn.Module, params: Any, graph: Graph) -> Prediction:
    return jax.vmap(lambda of_member: predict(network, of_member, graph))(params)
