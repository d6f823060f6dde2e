"""Shared by all tests: precision, compilation cache, where weights are, and tiny networks compiled once."""

import gc
import os
import sys
from pathlib import Path

os.environ.setdefault("JAX_ENABLE_X64", "1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
_cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "jaxft" / "xla"
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(_cache))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.5")

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from water_boxes import water_box

REPOSITORY = Path(__file__).resolve().parent.parent
SHARED = REPOSITORY.parent / "shared"


def shared(*parts: str) -> Path:
    """A file beside the repository that not every checkout has; the test skips where it is absent."""
    path = SHARED.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"needs {'/'.join(parts)}, which lies beside the repository of its developers only")
    return path


@pytest.fixture
def shared_file():
    """Function that finds a file beside the repository, or skips."""
    return shared


@pytest.fixture
def universal_weights(monkeypatch):
    """Set JAXFT_MODELS to where the universal weights are, or skip."""
    folder = Path(os.environ.get("JAXFT_MODELS", SHARED / "models"))
    if not (folder / "nequix-mp-1.nqx").is_file():
        pytest.skip("needs the weights of nequix-mp-1 and nequix-oam-1: set JAXFT_MODELS to their folder")
    monkeypatch.setenv("JAXFT_MODELS", str(folder))
    return folder


@pytest.fixture(autouse=True, scope="module")
def forget_programs():
    """Let go of compiled programs after each file: each holds hundreds of memory maps, and a process may have 65 530."""
    yield
    if "jax" in sys.modules:
        sys.modules["jax"].clear_caches()
        gc.collect()


def tiny_potential(seed: int = 0, hidden: str = "4x0e+4x1o+2x2e", **changes):
    """A NequIP-type potential of random weights for H, O, Cl; small enough to compile in a second."""
    from random_networks import drawn

    from jaxft.potential.nequip import NequIP, NequIPSettings
    from jaxft.potential.potential import Potential

    options = {
        "n_species": 3,
        "cutoff": 3.5,
        "hidden_irreps": hidden,
        "lmax": 2,
        "n_layers": 2,
        "n_basis": 4,
        "radial_hidden": (8,),
        "average_neighbors": 8.0,
        "embedding": 4,
        "skip_per_species": True,
    }
    network = NequIP(NequIPSettings(**{**options, **changes}))
    return Potential(network, drawn(network, seed), (1, 8, 17), np.array([-13.5, -430.0, -400.0]))


@pytest.fixture(scope="session")
def make_tiny():
    """Function: a tiny random potential from a seed and changes to its settings."""
    return tiny_potential


@pytest.fixture(scope="session")
def tiny():
    """The tiny random potential (H, O, Cl)."""
    return tiny_potential()


@pytest.fixture
def water():
    """Four waters in a periodic box smaller than twice the tiny cutoff."""
    return water_box()


@pytest.fixture
def structures() -> dict[str, Atoms]:
    """Every kind of periodicity and cell, of elements that the tiny potential knows."""
    rng = np.random.default_rng(3)
    molecule_free = molecule("H2O")
    slab = water_box(2, 5.0)
    slab.pbc = (True, True, False)
    slab.cell[2] = 0.0
    wire = molecule("H2O")
    wire.cell, wire.pbc = np.diag([0.0, 0.0, 2.9]), (False, False, True)
    triclinic = bulk("Cl", "fcc", a=4.6)
    triclinic.cell[0] += [0.3, -0.2, 0.4]
    outside = water_box(2, 4.5)
    outside.positions += rng.integers(-3, 4, (len(outside), 1)) * 4.5
    left_handed = water_box(2, 4.8)
    left_handed.cell[[0, 1]] = left_handed.cell[[1, 0]]
    left_handed.cell[0] += [0.5, 0.0, 0.2]
    return {
        "periodic": water_box(2, 4.5),
        "molecule": molecule_free,
        "slab": slab,
        "wire": wire,
        "triclinic primitive": triclinic,
        "outside the cell": outside,
        "left-handed": left_handed,
        "isolated atom": Atoms("O"),
        "far dimer": Atoms("OO", positions=[[0, 0, 0], [0, 0, 50.0]]),
    }
