"""The random models in ``tests/data/mace`` (from ``scripts/make_mace_reference.py``), and what MACE-torch says of them."""

from pathlib import Path

import numpy as np
from ase import Atoms

from jaxft.potential.evaluate import Evaluator
from jaxft.structures.batch import build_graph

FOLDER = Path(__file__).parent / "data" / "mace"
HEADS = {"agnostic": ("Default",), "density": ("pbe", "r2scan"), "non_linear": ("omat", "Default")}


def model_file(name: str) -> Path:
    return FOLDER / f"{name}.model"


class Padded(Evaluator):
    """Evaluates everything in one shape, so that a network compiles once."""

    n_atoms, n_edges = 96, 2560

    def graph(self, atoms):
        return build_graph(
            [atoms],
            self.potential.atomic_numbers,
            self.potential.cutoff,
            n_atoms=self.n_atoms,
            n_edges=self.n_edges,
            dtype=self.dtype,
        )


def references(path: Path, head: str | None = None):
    """(name, structure, function of a field) for each structure that a reference file holds under a head."""
    data = np.load(path)
    for key in (str(name) for name in data["names"]):
        name, _, of_head = key.partition("@")
        if of_head in ("", head):
            numbers, positions, cell, pbc = (data[f"{key}/{f}"] for f in ("numbers", "positions", "cell", "pbc"))
            atoms = Atoms(numbers=numbers, positions=positions, cell=cell, pbc=pbc)
            yield name, atoms, lambda field, key=key: data[f"{key}/{field}"]


def check_agreement(evaluate: Evaluator, path: Path, head: str, energy: float, force: float, largest: float) -> None:
    """Energies and node energies (eV/atom), forces (eV/Å) and stress, relative to the largest force above 1 eV/Å.

    ``largest``: structures whose forces are larger than this are left out.
    """
    seen = 0
    for name, atoms, expected in references(path, head):
        scale = max(1.0, np.abs(expected("forces")).max())
        if scale > largest:
            continue
        result = evaluate(atoms)
        assert abs(result.energy - expected("energy")) / len(atoms) < energy * scale, name
        np.testing.assert_allclose(result.forces, expected("forces"), rtol=0, atol=force * scale, err_msg=name)
        np.testing.assert_allclose(result.energies, expected("node_energy"), rtol=0, atol=energy * scale, err_msg=name)
        if result.stress is not None:
            np.testing.assert_allclose(result.stress, expected("stress"), rtol=0, atol=force * scale, err_msg=name)
        seen += 1
    assert seen >= 3
