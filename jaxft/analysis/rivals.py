"""What else could warn of an atom: signals that the Q residual has to beat (protocol 6). Larger means more suspicious, for each."""

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from jaxtyping import Float

from jaxft.analysis.environments import Environments
from jaxft.analysis.q_model import QModel
from jaxft.stats.outside import nearest_distance
from jaxft.structures.neighbors import find_edges

REACH = 3.0
"""Å; the nearest neighbor of an atom in condensed matter is nearer than this."""


def distance_to_training(model: QModel, training: Environments, of: Environments) -> Float[np.ndarray, "rows"]:
    """Distance of each atom to the nearest training environment of its element, standardised as in the Q model; NaN without one."""
    found = np.full(len(of.numbers), np.nan)
    for number, subspace in model.elements.items():
        chosen = of.numbers == number
        if chosen.any():
            among = subspace.standardise(training.of_element(number).values)
            found[chosen] = nearest_distance(subspace.standardise(of.values[chosen]), among)
    return found


def force_size(forces: Sequence[Float[np.ndarray, "atoms 3"]]) -> Float[np.ndarray, "rows"]:
    """|F| of each atom as the model has it, eV/Å."""
    return np.concatenate([np.linalg.norm(f, axis=1) for f in forces])


def closeness(structures: Sequence[Atoms]) -> Float[np.ndarray, "rows"]:
    """Minus the distance to the nearest neighbor over the sum of covalent radii; NaN where none is within 3 Å."""
    return np.concatenate([_closeness(atoms) for atoms in structures])


def _closeness(atoms: Atoms) -> Float[np.ndarray, "atoms"]:
    edges = find_edges(atoms.positions, atoms.cell.array, atoms.pbc, REACH)
    vectors = atoms.positions[edges.senders] + edges.shifts @ atoms.cell.array - atoms.positions[edges.receivers]
    radii = covalent_radii[atoms.numbers]
    relative = np.linalg.norm(vectors, axis=1) / (radii[edges.senders] + radii[edges.receivers])
    nearest = np.full(len(atoms), np.inf)
    np.minimum.at(nearest, edges.receivers, relative)
    return np.where(np.isfinite(nearest), -nearest, np.nan)
