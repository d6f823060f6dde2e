"""Structures out of nothing: simple crystals of random elements, strained and rattled, to ask a potential what it knows everywhere.

Not a sample of any ensemble: prototypes (elements and binary compounds) whose nearest neighbours are as far apart as the sum of
their covalent radii, times a random factor, sheared a little, with atoms moved a little; none much denser than diamond. Meant for
replay (``finetune``): what a universal potential says of them is what a fine-tune may make it forget.
"""

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.data import atomic_numbers, covalent_radii

from jaxft.errors import InputError

ELEMENTAL = ("fcc", "bcc", "diamond", "sc")
BINARY = ("rocksalt", "cesiumchloride", "zincblende")
NEAREST = {
    "fcc": 2.0**-0.5,
    "bcc": 3.0**0.5 / 2.0,
    "diamond": 3.0**0.5 / 4.0,
    "sc": 1.0,
    "rocksalt": 0.5,
    "cesiumchloride": 3.0**0.5 / 2.0,
    "zincblende": 3.0**0.5 / 4.0,
}
"""Distance of nearest neighbours in units of the cubic lattice constant."""

SCALE = (0.95, 1.25)
STRAIN = 0.05
RATTLE = (0.0, 0.25)
DENSEST = 5.0
"""Smallest volume per atom before scaling and strain (Å³; diamond has 5.7). Covalent radii of light elements that form
no such crystals (He, H, Ne) would give a tenth of it: thousands of neighbors, and forces that nobody wants kept."""


def random_crystals(elements: Sequence[str], count: int, seed: int, largest: int = 32) -> list[Atoms]:
    """``count`` periodic structures of up to ``largest`` atoms of one or two of the elements; the seed is the only randomness."""
    unknown = [element for element in elements if element not in atomic_numbers]
    if unknown or not elements:
        raise InputError(f"expected elements to build crystals from, got {', '.join(unknown) or 'none'}")
    generator = np.random.default_rng(seed)
    return [_crystal(elements, generator, largest) for _ in range(count)]


def _crystal(elements: Sequence[str], generator: np.random.Generator, largest: int) -> Atoms:
    pair = generator.choice(len(elements), size=2, replace=False) if len(elements) > 1 else np.zeros(2, dtype=int)
    names = [elements[int(k)] for k in pair]
    compound = len(elements) > 1 and generator.random() < 0.5
    prototype = str(generator.choice(BINARY if compound else ELEMENTAL))
    if not compound:
        names[1] = names[0]
    bond = sum(covalent_radii[atomic_numbers[name]] for name in names)
    formula = "".join(names) if compound else names[0]
    atoms = bulk(formula, prototype, a=bond / NEAREST[prototype], cubic=True)
    # before the random factor, so that volumes differ where covalent radii are no guide too
    too_dense = DENSEST * len(atoms) / atoms.get_volume()
    larger = max(1.0, too_dense) ** (1.0 / 3.0) * generator.uniform(*SCALE)
    atoms.set_cell(atoms.cell.array * larger, scale_atoms=True)
    for axis in generator.permutation(3):
        if 2 * len(atoms) <= largest:
            atoms = atoms.repeat([2 if k == axis else 1 for k in range(3)])
    strain = np.eye(3) + generator.uniform(-STRAIN, STRAIN, size=(3, 3))
    atoms.set_cell(atoms.cell.array @ strain, scale_atoms=True)
    atoms.positions += generator.normal(scale=generator.uniform(*RATTLE), size=(len(atoms), 3))
    return atoms
