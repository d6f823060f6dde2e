"""Bonds of a starting structure, for the guard that stops a replica when one of them breaks."""

import numpy as np
from jaxtyping import Bool, Float, Int

from jaxft.md.guards import radii_of
from jaxft.structures.neighbors import find_edges

BONDED = 1.25
"""Times the sum of covalent radii: nearer atoms are bonded."""


def find_bonds(
    numbers: Int[np.ndarray, "atoms"],
    positions: Float[np.ndarray, "atoms 3"],
    cell: Float[np.ndarray, "3 3"],
    pbc: Bool[np.ndarray, "3"],
) -> Int[np.ndarray, "bonds 5"]:
    """Each bond once: two atoms, and the image (three integers) of the second that is bonded to the first."""
    radii = radii_of(numbers)
    reach = 2.0 * BONDED * float(radii.max(initial=0.0))
    edges = find_edges(positions, cell, pbc, reach)
    vectors = positions[edges.senders] + edges.shifts @ cell - positions[edges.receivers]
    near = np.linalg.norm(vectors, axis=1) < BONDED * (radii[edges.senders] + radii[edges.receivers])
    once = edges.receivers < edges.senders
    return np.column_stack([edges.receivers, edges.senders, edges.shifts])[near & once].astype(np.int32)
