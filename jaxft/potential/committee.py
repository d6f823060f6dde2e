"""A committee: potentials of one network that were trained alike but not equally; where they disagree, none of them knows.

    F_i = mean_k F_ki        σ_i = √( Σ_k |F_ki - F_i|² / (K - 1) )

for the force on atom i by member k of K, a vector: σ_i is √3 times that of a component where all directions are alike. Energies
likewise; of the stress there is the mean. The spread is a sign of what the training set does not determine; what all members have
from a common parent, its bias included, it does not show. One member, where the others of a fine-tune stopped, has a mean but no
spread: NaN. Source: H. S. Seung, M. Opper,
H. Sompolinsky, Query by committee (COLT 1992), as used for potentials by Smith et al. (J. Chem. Phys. 148 (2018) 241733).
"""

import re
import warnings
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

from jaxft.compilation import compiled
from jaxft.errors import InputError
from jaxft.potential.derivatives import Prediction, predict
from jaxft.potential.evaluate import Evaluator
from jaxft.potential.potential import Potential, cast_parameters
from jaxft.structures.graph import Graph
from jaxft.structures.species import species_of


@dataclass(frozen=True)
class CommitteePrediction:
    """Means over the members, and how far they are apart (standard deviations; NaN for one member).

    energy           eV
    energies         (atoms,) eV
    forces           (atoms, 3) eV/Å
    stress           (3, 3) eV/Å³, ASE's sign; None unless periodic in all directions
    energy_spread    eV, of total energies
    energies_spread  (atoms,) eV, of atomic energies
    forces_spread    (atoms,) eV/Å, of force vectors, not of their components
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
        """Raises InputError where there are no members, and for members of different networks or elements."""
        if not members:
            raise InputError("a committee needs at least one member, got none")
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
        energy, energy_spread = mean_and_spread(energies.sum(axis=1))
        mean_energies, energies_spread = mean_and_spread(energies)
        mean_forces, forces_spread = mean_and_spread(forces, vectors=True)
        return CommitteePrediction(
            energy=float(energy),
            energies=mean_energies,
            forces=mean_forces,
            stress=stress,
            energy_spread=float(energy_spread),
            energies_spread=energies_spread,
            forces_spread=forces_spread,
        )


def mean_and_spread(
    said: Float[np.ndarray, "members ..."], *, vectors: bool = False
) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
    """Mean over the members, and their standard deviation about it; vectors: that of whole vectors, which are the last axis.

    The spread of one member is unknown: NaN.
    """
    mean = said.mean(axis=0)
    squares = ((said - mean) ** 2).sum(axis=0)
    if vectors:
        squares = squares.sum(axis=-1)
    return mean, np.sqrt(squares / (len(said) - 1)) if len(said) > 1 else np.full_like(squares, np.nan)


def member_folders(folder: str | Path) -> list[Path]:
    """The folders ``model-0``, ``model-1`` ... in a folder, by number; others, such as ``model-old``, are no members."""
    found = [path for path in Path(folder).glob("model-*") if re.fullmatch(r"model-\d+", path.name) and path.is_dir()]
    return sorted(found, key=lambda path: int(path.name.removeprefix("model-")))


def load_committee(folder: str | Path, dtype: str = "float32") -> Committee:
    """The members ``model-0``, ``model-1`` ... that ``jaxft finetune`` left in a folder; members that stopped are not there."""
    from jaxft.potential.load import load

    folders = member_folders(folder)
    if not folders:
        raise InputError(
            f"{folder} has no model-0, model-1 ...; expected the folder of a fine-tune with committee.members above 1"
        )
    if len(folders) == 1:
        warnings.warn(f"{folder} has one member, {folders[0].name}: its spread is unknown (NaN)", stacklevel=2)
    return Committee([load(path) for path in folders], dtype=dtype)


@partial(compiled, static_argnums=0)
def _members_predict(network: nn.Module, params: Any, graph: Graph) -> Prediction:
    return jax.vmap(lambda of_member: predict(network, of_member, graph))(params)
