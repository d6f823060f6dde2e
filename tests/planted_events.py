"""Made-up trajectories of a cobalt complex and water in a box, in which exactly what a test plants happens."""

import numpy as np
from ase import Atoms

from jaxft.analysis.frames import Frames

EDGE = 11.0
FRAME_FS = 10.0
# names of atoms in ``complex_box``
CO, CL, FREE_CL, LIGAND, FREE_O = 0, (1, 2, 3), 4, 5, 8


def water_at(oxygen, away):
    """O, H, H with both hydrogens on the side of the unit vector ``away``."""
    away = np.asarray(away, dtype=float) / np.linalg.norm(away)
    side = np.cross(away, [0.3, 0.5, 0.8])
    side /= np.linalg.norm(side)
    half = np.deg2rad(104.5 / 2)
    arms = [0.97 * (np.cos(half) * away + sign * np.sin(half) * side) for sign in (1, -1)]
    return [oxygen, oxygen + arms[0], oxygen + arms[1]]


def complex_box():
    """CoCl3(H2O) as a tetrahedron about the middle, a free chloride and a free water, far from it and from each other."""
    middle = np.full(3, EDGE / 2)
    corners = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / np.sqrt(3)
    positions = [middle, *(middle + 2.3 * corner for corner in corners[:3])]
    positions.append(middle - 5.1 * corners[0])  # comes in through the face opposite to the first chloride
    positions += water_at(middle + 2.1 * corners[3], corners[3])
    positions += water_at(np.array([9.5, 0.6, 9.0]), [1, 0, 0])
    return Atoms("CoCl4OH2OH2", positions=positions, cell=[EDGE] * 3, pbc=True)


def still(atoms, n, *, noise=0.01, seed=0):
    """The same structure n times, atoms shaking independently by ``noise`` Å."""
    rng = np.random.default_rng(seed)
    return atoms.positions + noise * rng.normal(size=(n, len(atoms), 3))


def frames(atoms, positions, *, frame_fs=FRAME_FS, cells=None, **kwargs):
    """As ``Frames``, the first at time 0."""
    cells = np.asarray(atoms.cell) if cells is None else cells
    return Frames(positions, cells, np.asarray(atoms.pbc), atoms.numbers, frame_fs, **kwargs)


def put(positions, atom, near, distance, since, until=None):
    """Move an atom (or several, as a body, led by the first) to a distance from another one, along the line between both."""
    group = [atom] if isinstance(atom, int) else list(atom)
    part = positions[since:until]
    line = part[:, group[0]] - part[:, near]
    length = np.linalg.norm(line, axis=1, keepdims=True)
    part[:, group] += (line * (np.asarray(distance).reshape(-1, 1) / length - 1.0))[:, None]
    return positions
