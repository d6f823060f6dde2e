"""Evaluation of single structures on the host: padded, compiled once per bucket, reference energies added in float64."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from ase import Atoms
from flax import linen as nn
from jaxtyping import Float

from jaxft.compilation import compiled
from jaxft.potential.derivatives import Prediction, predict
from jaxft.potential.potential import Potential, cast_parameters
from jaxft.structures.batch import build_graph, capacity
from jaxft.structures.graph import Graph
from jaxft.structures.neighbors import find_edges
from jaxft.structures.species import species_of

ATOM_GRANULARITY = 8
EDGE_GRANULARITY = 64


@partial(compiled, static_argnums=0)
def compiled_predict(network: nn.Module, params: Any, graph: Graph) -> Prediction:
    """``predict`` compiled per (network settings, shapes, dtype); parameters are arguments and never recompile."""
    return predict(network, params, graph)


@dataclass(frozen=True)
class Evaluation:
    """Energies (eV), forces (eV/Å), stress (3, 3) (eV/Å³, ASE's sign; None unless periodic in all directions)."""

    energy: float
    energies: Float[np.ndarray, "atoms"]
    forces: Float[np.ndarray, "atoms 3"]
    stress: Float[np.ndarray, "3 3"] | None


class Evaluator:
    """Evaluates one potential; keeps its parameters on the device and its buckets as large as they have been.

    Buckets grow and are kept while the number of atoms stays the same, so that dynamics, whose edges come and go, does
    not jump between programs.
    """

    def __init__(self, potential: Potential, dtype: str = "float32") -> None:
        self.potential = potential
        self.dtype = np.dtype(dtype)
        self.params = cast_parameters(potential.params, self.dtype)
        self._n_atoms = 0
        self._n_edges = 0

    def graph(self, atoms: Atoms) -> Graph:
        """The padded graph of a structure."""
        edges = find_edges(atoms.positions, atoms.cell.array, atoms.pbc, self.potential.cutoff)
        n_atoms = capacity(len(atoms), ATOM_GRANULARITY)
        if n_atoms != self._n_atoms or len(edges.senders) > self._n_edges:
            self._n_atoms, self._n_edges = n_atoms, capacity(len(edges.senders), EDGE_GRANULARITY)
        return build_graph(
            [atoms],
            self.potential.atomic_numbers,
            self.potential.cutoff,
            n_atoms=self._n_atoms,
            n_edges=self._n_edges,
            edges=[edges],
            dtype=self.dtype,
        )

    def __call__(self, atoms: Atoms) -> Evaluation:
        """Energy, forces and stress of a structure. Raises InputError for unknown elements and degenerate cells."""
        prediction = compiled_predict(self.potential.network, self.params, self.graph(atoms))
        species = species_of(atoms.numbers, self.potential.atomic_numbers)
        interaction = np.asarray(prediction.node_energies, dtype=np.float64)[: len(atoms)]
        energies = interaction + self.potential.reference_energies[species]
        stress = None
        if atoms.pbc.all():
            stress = np.asarray(prediction.virials[0], dtype=np.float64) / abs(np.linalg.det(atoms.cell.array))
        return Evaluation(
            energy=float(energies.sum()),
            energies=energies,
            forces=np.asarray(prediction.forces, dtype=np.float64)[: len(atoms)],
            stress=stress,
        )
