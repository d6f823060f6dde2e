"""Names of labels in files that others wrote."""

import numpy as np
import pytest
from ase import Atoms
from ase.io import read, write

from jaxft.errors import InputError
from jaxft.structures.dataset import read_dataset
from jaxft.structures.label_keys import GivenKeys, describe_keys, detect_keys
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
        ({"energy": ["TotEnergy", "formation_energy"], "forces": ["force"]}, ("TotEnergy", "force")),
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
        (
            {"energy": ["formation_energy"], "forces": ["forces"]},
            "only formation_energy.*--energy-key formation_energy",
        ),
        ({"energy": ["energy_vasp"], "forces": ["force"]}, "name the entry with --energy-key"),
    ],
)
def test_what_can_not_be_known_is_asked_for(tmp_path, names, words):
    with pytest.raises(InputError, match=words):
        detect_keys(file_with(tmp_path, **names))


@pytest.mark.parametrize(
    ("name", "total"),
    [
        ("constrained_energy", True),
        ("unconstrainedEnergy", True),
        ("subsurface_energy", True),
        ("prereaction.energy", True),
        ("TotEnergy", True),
        ("strain_energy", False),
        ("StrainEnergy", False),
        ("DFTBindingEnergy", False),
        ("dft-reaction-energy", False),
        ("pbe.formation.energy", False),
        ("formationenergy", False),
        ("zero_point_energy", False),
        ("zeroPointEnergy", False),
        ("peratom_energy", False),
        ("dft_per_atom_energy", False),
        ("D3dispersion_energy", False),
        ("KINETIC_ENERGY", False),
    ],
)
def test_an_energy_that_is_not_total_is_told_by_whole_words(tmp_path, name, total):
    path = file_with(tmp_path, energy=[name], forces=["forces"])
    if total:
        assert detect_keys(path).energy == name
    else:
        with pytest.raises(InputError, match=f"no total energy by the names of its entries, only {name}"):
            detect_keys(path)


@pytest.mark.parametrize(
    ("energies", "key"),
    [(["A_energy", "E_energy"], "A_energy"), (["energy_vasp"], "energy_vasp"), (["formation_energy"],) * 2],
)
def test_a_given_name_is_used_whatever_else_there_is(tmp_path, energies, key):
    key = key if isinstance(key, str) else key[0]
    found = detect_keys(file_with(tmp_path, energy=energies, forces=["force"]), GivenKeys(energy=key))
    assert (found.energy, found.forces) == (key, "force")


def test_a_given_name_that_no_frame_has_is_refused_with_near_ones(tmp_path):
    path = file_with(tmp_path, energy=["energy"], forces=["forces"])
    with pytest.raises(InputError, match="no entry 'dft_stres', which --stress-key names; its entries are"):
        detect_keys(path, GivenKeys(stress="dft_stres"))
    with pytest.raises(InputError, match="did you mean 'forces'"):
        detect_keys(path, GivenKeys(forces="froces"))


def boxes(folder, **stresses):
    """A frame for each number of a list, with entries of that name where the number is not None."""
    frames = []
    for k in range(3):
        box = Atoms("OHH", [[0, 0, 0], [1, 0, 0], [0, 1, k / 100]], cell=[5] * 3, pbc=True, info={"REF_energy": -1.0})
        box.arrays["REF_forces"] = np.ones((3, 3))
        box.info.update({name: values[k] * np.eye(3) for name, values in stresses.items() if values[k] is not None})
        frames.append(box)
    write(folder / "boxes.extxyz", frames, format="extxyz")
    return folder / "boxes.extxyz"


def test_a_stress_that_the_first_frame_lacks_is_found_and_counted(tmp_path):
    path = boxes(tmp_path, dft_stress=[None, 1.0, 2.0])
    keys = detect_keys(path)
    assert keys.stress == "dft_stress"
    told = describe_keys(keys, read_dataset(path, keys))
    assert told == "energy from REF_energy, forces from REF_forces, stress from dft_stress (2 of 3 structures)"
    assert describe_keys(keys, read_dataset(path)).endswith("no stress")


def predicted(folder, energies, forces):
    """Ten frames with a model's predictions everywhere, and labels under these names that the fourth frame lacks."""
    frames = []
    for k in range(10):
        water = Atoms("OHH", [[0, 0, 0], [1, 0, 0], [0, 1, k / 100]], info={"MACE_energy": -1.0})
        water.arrays["MACE_forces"] = np.ones((3, 3))
        if k != 3:
            water.info.update(dict.fromkeys(energies, -2.0))
            water.arrays.update({name: np.zeros((3, 3)) for name in forces})
        frames.append(water)
    write(folder / "predicted.extxyz", frames, format="extxyz")
    return folder / "predicted.extxyz"


def test_predictions_in_all_frames_are_not_taken_for_labels_that_one_frame_lacks(tmp_path):
    path = predicted(tmp_path, ["REF_energy"], ["REF_forces"])
    keys = detect_keys(path)
    assert keys == LabelKeys()
    with pytest.raises(InputError, match=r"lacks REF_energy in 1 of 10 frames \(3\)"):
        read_dataset(path, keys)


def test_reference_labels_go_before_names_that_more_frames_have(tmp_path):
    frames = read(predicted(tmp_path, ["REF_energy"], ["REF_forces"]), ":")
    for atoms in frames:
        atoms.info["dft_energy"] = -3.0
        atoms.set_cell([5.0] * 3)
        atoms.pbc = True
        atoms.info["MACE_stress"] = np.eye(3)
    write(tmp_path / "both.extxyz", frames, format="extxyz")
    assert detect_keys(tmp_path / "both.extxyz") == LabelKeys()


def test_unknown_names_are_asked_for_even_where_one_of_them_is_in_all_frames(tmp_path):
    with pytest.raises(InputError, match="several entries that may be the energy: MACE_energy, pbe_energy"):
        detect_keys(predicted(tmp_path, ["pbe_energy"], ["pbe_forces"]))


def test_a_known_name_in_all_frames_goes_before_one_in_some(tmp_path):
    path = boxes(tmp_path, dft_stress=[1.0, 2.0, 3.0], stress=[1.0, None, 2.0])
    assert detect_keys(path).stress == "dft_stress"


TWO_STRESSES = {"a_stress": [1.0, 2.0, 3.0], "b_stress": [4.0, None, 6.0]}


@pytest.mark.parametrize(
    ("stresses", "used"),
    [
        (TWO_STRESSES, "a_stress"),
        (TWO_STRESSES, "b_stress"),
        (TWO_STRESSES, "c_stress"),
        ({"stress": [1.0] * 3}, "c_stress"),
    ],
)
def test_a_test_set_has_the_stress_that_was_named_or_none(tmp_path, stresses, used):
    path = boxes(tmp_path, **stresses)
    keys = detect_keys(path, GivenKeys(stress=used), like=LabelKeys(stress=used))
    assert keys == LabelKeys(stress=used)
    assert sum(item.stress is not None for item in read_dataset(path, keys)) == len(
        [value for value in stresses.get(used, ()) if value is not None]
    )


def test_a_test_set_is_read_by_the_names_of_the_labels(tmp_path):
    labels = LabelKeys("pbe_energy", "pbe_forces", "pbe_stress")
    assert detect_keys(predicted(tmp_path, ["pbe_energy"], ["pbe_forces"]), like=labels) == LabelKeys(
        "pbe_energy", "pbe_forces"
    )
    # not all of them: found out, as for the labels
    found = detect_keys(file_with(tmp_path, energy=["pbe_energy", "energy"], forces=["forces"]), like=labels)
    assert (found.energy, found.forces) == ("energy", "forces")


def test_a_virial_is_noted_where_there_is_no_stress(tmp_path):
    with pytest.warns(
        UserWarning, match=r"virials is not read; for a stress give stress = -virials / volume, in eV/Å³"
    ):
        detect_keys(boxes(tmp_path, virials=[1.0, None, 2.0]))
    detect_keys(boxes(tmp_path, virials=[1.0, None, 2.0], stress=[1.0, None, 2.0]))
