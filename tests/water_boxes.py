"""Boxes of water for tests."""

import numpy as np
from ase import Atoms
from ase.build import molecule


def water_box(n: int = 4, edge: float = 5.2, seed: int = 0) -> Atoms:
    """A periodic box of n waters on a grid, randomly turned; no two atoms nearer than about 1 Å."""
    rng = np.random.default_rng(seed)
    side = int(np.ceil(n ** (1 / 3)))
    atoms = Atoms(cell=[edge] * 3, pbc=True)
    for k in range(n):
        water = molecule("H2O")
        water.rotate(rng.uniform(0, 360), rng.normal(size=3))
        water.positions += (np.array([k % side, (k // side) % side, k // side**2]) + 0.5) * edge / side
        atoms += water
    return atoms
