"""A tiny student, a tiny teacher that labels, and four small structures, so that most fits share one program."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from random_networks import drawn

from jaxft.finetune.predict_set import predict_set
from jaxft.potential.nequip import NequIP, NequIPSettings
from jaxft.potential.potential import Potential
from jaxft.structures.dataset import LabelledStructure

SETTINGS = NequIPSettings(
    n_species=2,
    cutoff=3.0,
    hidden_irreps="8x0e+4x1o",
    lmax=1,
    n_layers=1,
    n_basis=4,
    radial_hidden=(16,),
    average_neighbors=6.0,
)


def random_potential(seed: int, **changes: Any) -> Potential:
    """A potential of random weights for H and O; ``changes`` to the network's settings."""
    network = NequIP(replace(SETTINGS, **changes))
    return Potential(network, drawn(network, seed), (1, 8), np.array([-13.5, -430.0]))


def random_structures() -> list[Atoms]:
    """Four periodic structures of 2 to 4 atoms and four compositions; a test that moves an atom without a copy fails."""
    rng = np.random.default_rng(0)
    corners = 1.3 * np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    symbols = ["OH", "OHH", "OHHH", "OOH"]
    structures = [
        Atoms(s, positions=corners[: len(s)] + 0.15 * rng.normal(size=(len(s), 3)), cell=[3.6, 3.8, 4.0], pbc=True)
        for s in symbols
    ]
    for atoms in structures:
        atoms.positions.flags.writeable = False
    return structures


def labelled_by(potential: Potential, structures: list[Atoms], stress: bool = True) -> list[LabelledStructure]:
    """Structures with what the potential says of them, in float64, as labels."""
    said = predict_set(potential, structures, dtype="float64", batch_size=4)
    stresses = said.stresses if stress else [None] * len(structures)
    return [
        LabelledStructure(a, float(e), f, s)
        for a, e, f, s in zip(structures, said.energies, said.forces, stresses, strict=True)
    ]


@pytest.fixture(scope="session")
def make_potential():
    """Function: a potential of random weights from a seed and changes to the network's settings."""
    return random_potential


@pytest.fixture(scope="session")
def label_with():
    """Function: structures with the labels that a potential gives them."""
    return labelled_by


@pytest.fixture(scope="session")
def student() -> Potential:
    """The potential that is fine-tuned."""
    return random_potential(0)


@pytest.fixture(scope="session")
def teacher() -> Potential:
    """The potential that gives the labels."""
    return random_potential(1)


@pytest.fixture(scope="session")
def boxes() -> list[Atoms]:
    """Four small periodic structures."""
    return random_structures()


@pytest.fixture(scope="session")
def labels(teacher, boxes) -> list[LabelledStructure]:
    """The four structures as the teacher labels them."""
    return labelled_by(teacher, boxes)
