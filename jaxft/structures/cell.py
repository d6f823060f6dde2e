"""Cells: filling what is missing, perpendicular heights, how many images a cutoff reaches.

A cell is a (3, 3) array whose **rows** are the lattice vectors, in Å, as in ASE.
"""

import numpy as np
from jaxtyping import Bool, Float

from jaxft.errors import InputError


def complete_cell(
    cell: Float[np.ndarray, "3 3"],
    pbc: Bool[np.ndarray, "3"],
    positions: Float[np.ndarray, "atoms 3"],
    reach: float,
) -> Float[np.ndarray, "3 3"]:
    """Return ``cell`` with its non-periodic rows replaced, so that it is never singular.

    Each non-periodic row becomes orthogonal to the periodic ones (and to the other replaced ones) and long enough to hold
    all atoms plus ``reach`` (Å) on both sides: no image along it can ever be a neighbor. Periodic rows stay as they are.
    Raises InputError where the periodic rows are zero or linearly dependent.
    """
    cell = np.array(cell, dtype=np.float64)
    pbc = np.asarray(pbc, dtype=bool)
    check_cell(cell, pbc)
    periodic = [i for i in range(3) if pbc[i]]
    free = [i for i in range(3) if not pbc[i]]
    if not free:
        return cell
    if len(free) == 3:
        basis = np.eye(3)
    else:
        # the last right-singular vectors of the periodic rows span their orthogonal complement
        basis = np.linalg.svd(cell[periodic])[2][len(periodic) :]
    for row, direction in zip(free, basis, strict=True):
        along = positions @ direction if len(positions) else np.zeros(1)
        cell[row] = direction * (np.ptp(along) + 2.0 * reach + 1.0)
    return cell


def check_cell(cell: Float[np.ndarray, "3 3"], pbc: Bool[np.ndarray, "3"], what: str = "") -> None:
    """Raise InputError where a periodic direction has no usable lattice vector. what: whose cell it is."""
    whose = f"{what}: " * bool(what)
    rows = np.asarray(cell, dtype=np.float64)[np.asarray(pbc, dtype=bool)]
    if not np.isfinite(rows).all():
        raise InputError(f"{whose}the cell holds numbers that are not finite; give three finite lattice vectors in Å")
    if len(rows) == 0:
        return
    lengths = np.linalg.norm(rows, axis=1)
    if (lengths < 1e-6).any():
        raise InputError(
            f"{whose}a periodic direction has a zero lattice vector (lengths {np.round(lengths, 6).tolist()} Å); "
            "set pbc to False along it or give its vector"
        )
    volume = np.sqrt(max(np.linalg.det((rows / lengths[:, None]) @ (rows / lengths[:, None]).T), 0.0))
    if volume < 1e-6:
        raise InputError(
            f"{whose}the cell is degenerate: its periodic lattice vectors are linearly dependent "
            f"(lengths {np.round(lengths, 4).tolist()} Å); give independent vectors"
        )


def heights(cell: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, "3"]:
    """Perpendicular heights of the cell in Å: h_i = 1 / |b_i| with b_i the rows of the inverse transpose."""
    return 1.0 / np.linalg.norm(np.linalg.inv(np.asarray(cell, dtype=np.float64)).T, axis=1)
