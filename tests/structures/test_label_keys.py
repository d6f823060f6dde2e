"""Names of labels in files that others wrote."""

import numpy as np
import pytest
from ase import Atoms
from ase.io import write

from jaxft.errors import InputError
from jaxft.structures.label_keys import detect_keys
from jaxft.structures.labelled import LabelKeys


def file_with(folder, **names):
    """Two frames, an isolated atom first, with labels under these names."""
    frames = [Atoms("O", info=dict.fromkeys(names.get("energy", ()), -400.0) | {"config_type": "IsolatedAtom"})]
    water = Atoms(
        "OHH", positions=[[0, 0, 0], [1, 0, 0], [0, 1, 0]], info=dict.fromkeys(names.get("energy", ()), -470.0)
    )
    for forces in names.get("forces", ()):
        water.arrays[forces] = np.ones((3, 3))
    frames.append(water)
    path = folder / "data.extxyz"
    write(path, frames, format="extxyz")
    return path


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ({"energy": ["REF_energy", "energy"], "forces": ["REF_forces"]}, ("REF_energy", "REF_forces")),
        ({"energy": ["energy"], "forces": ["forces"]}, ("energy", "forces")),
        ({"energy": ["dft_energy"], "forces": ["dft_forces"]}, ("dft_energy", "dft_forces")),
        ({"energy": ["TotEnergy"], "forces": ["force"]}, ("TotEnergy", "force")),
    ],
)
def test_known_and_single_names_are_found(tmp_path, names, expected):
    found = detect_keys(file_with(tmp_path, **names))
    assert (found.energy, found.forces) == expected
    assert found.stress == LabelKeys().stress


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (
            {"energy": ["pbe_energy", "hse_energy"], "forces": ["forces"]},
            "several entries that may be the energy: hse_energy, pbe_energy",
        ),
        ({"forces": ["forces"]}, "has no energy; its entries are forces"),
        ({"energy": ["energy"]}, "has no forces"),
    ],
)
def test_what_can_not_be_known_is_asked_for(tmp_path, names, words):
    with pytest.raises(InputError, match=words):
        detect_keys(file_with(tmp_path, **names))
