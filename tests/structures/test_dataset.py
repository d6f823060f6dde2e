"""Labelled files: every bit comes back, foreign files are understood, and bad ones are refused by frame."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms
from ase.io import read, write

from jaxft.errors import InputError
from jaxft.structures.dataset import (
    LabelKeys,
    LabelledStructure,
    find_duplicates,
    read_dataset,
    split_isolated_atoms,
    write_dataset,
)
from jaxft.structures.labelled import is_isolated_atom, label_of

ASE_KEYS = LabelKeys("energy", "forces", "stress")


def liquid(seed, n=4):
    """A periodic box of labelled waters with awkward numbers: thirds, tiny, huge, negative zero."""
    rng = np.random.default_rng(seed)
    atoms = Atoms(
        "OH2" * n,
        positions=rng.normal(scale=20 / 3, size=(3 * n, 3)),
        cell=rng.normal(size=(3, 3)) + 9 * np.eye(3),
        pbc=True,
    )
    forces = rng.normal(size=(3 * n, 3)) * 10.0 ** rng.integers(-12, 3, size=(3 * n, 1))
    forces[0, 0] = -0.0
    stress = rng.normal(size=(3, 3)) / 300
    return LabelledStructure(atoms, -17660.461737861464 - seed / 3, forces, stress + stress.T)


def same(a, b):
    equal = [x.tobytes() == y.tobytes() for x, y in ((a.forces, b.forces), (a.atoms.positions, b.atoms.positions))]
    cells = a.atoms.cell.array.tobytes() == b.atoms.cell.array.tobytes() and (a.atoms.pbc == b.atoms.pbc).all()
    stress = (a.stress is None and b.stress is None) or a.stress.tobytes() == b.stress.tobytes()
    return all(equal) and cells and stress and a.energy == b.energy and (a.atoms.numbers == b.atoms.numbers).all()


@pytest.mark.parametrize("keys", [LabelKeys(), ASE_KEYS, LabelKeys("E0", "F_dft", "virial_free")])
def test_every_bit_comes_back(tmp_path, keys):
    dataset = [liquid(seed) for seed in range(3)]
    write_dataset(tmp_path / "a.extxyz", dataset, keys)
    found = read_dataset(tmp_path / "a.extxyz", keys)
    assert len(found) == 3
    assert all(map(same, dataset, found))
    assert all(labelled.atoms.calc is None and labelled.info == {} for labelled in found)


def test_equal_data_give_equal_bytes_whatever_the_order_of_entries(tmp_path):
    one, two = liquid(0), liquid(0)
    one.atoms.info.update(charge=1, note="x")
    two.atoms.info.update(note="x", charge=1)
    for name, labelled in (("a", one), ("b", two)):
        write_dataset(tmp_path / name, [labelled])
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    write_dataset(tmp_path / "c", read_dataset(tmp_path / "a"))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "c").read_bytes()


def test_entries_and_arrays_come_back_with_their_types(tmp_path):
    labelled = liquid(0)
    info = {
        "charge": -1, "temperature": 1 / 3, "done": True, "hash": "12e3456", "word": "True",
        "text": 'a "b" = {c}\\\n é',
        "vector": np.arange(4) / 7, "one": np.array([5]), "matrix": np.eye(3) / 3, "nested": {"b": [1, 2], "a": "x"},
        "nothing": None, "single": np.float32(0.1), "config_type": "liquid",
    }  # fmt: skip
    labelled.atoms.info.update(info)
    labelled.atoms.set_tags(range(12))
    labelled.atoms.set_momenta(labelled.forces / 3)
    labelled.atoms.set_array("solvent", labelled.atoms.numbers == 8)
    labelled.atoms.set_array("residue", np.array(["WAT", "a"] * 6))
    write_dataset(tmp_path / "a", [labelled])
    (found,) = read_dataset(tmp_path / "a")
    assert found.info.keys() == info.keys()
    for name, value in info.items():
        np.testing.assert_array_equal(found.info[name], value, err_msg=name)
        assert isinstance(found.info[name], str) == isinstance(value, str), name
    for name in ("tags", "momenta", "solvent", "residue"):
        np.testing.assert_array_equal(found.atoms.arrays[name], labelled.atoms.arrays[name], err_msg=name)


def test_ase_and_so_mace_reads_the_same_numbers(tmp_path):
    labelled = liquid(1)
    write_dataset(tmp_path / "a.extxyz", [labelled])
    atoms = read(tmp_path / "a.extxyz")
    assert atoms.info["REF_energy"] == labelled.energy
    np.testing.assert_array_equal(atoms.arrays["REF_forces"], labelled.forces)
    np.testing.assert_array_equal(atoms.info["REF_stress"].reshape(3, 3), labelled.stress)


def test_a_file_written_by_ase_from_a_calculator_is_understood(tmp_path):
    wanted = liquid(2)
    atoms = wanted.atoms.copy()
    voigt = wanted.stress.ravel()[[0, 4, 8, 5, 2, 1]]
    atoms.calc = SinglePointCalculator(atoms, energy=wanted.energy, forces=wanted.forces, stress=voigt)
    write(tmp_path / "a.extxyz", atoms)
    (found,) = read_dataset(tmp_path / "a.extxyz", ASE_KEYS)
    assert found.energy == wanted.energy
    np.testing.assert_allclose(found.forces, wanted.forces, atol=1e-8)
    np.testing.assert_array_equal(found.stress, wanted.stress)


def test_voigt_stress_is_in_ase_order():
    atoms = liquid(0).atoms.copy()
    atoms.info.update(REF_energy=-1.0, REF_stress=[1, 2, 3, 4, 5, 6])
    atoms.arrays["REF_forces"] = np.zeros((12, 3))
    np.testing.assert_array_equal(label_of(atoms).stress, [[1, 6, 5], [6, 2, 4], [5, 4, 3]])


def test_labels_are_taken_off_and_the_given_atoms_left_alone():
    atoms = liquid(0).atoms.copy()
    atoms.info.update(REF_energy=-1.0, charge=1)
    atoms.arrays["REF_forces"] = np.zeros((12, 3))
    atoms.set_constraint(FixAtoms([0]))
    labelled = label_of(atoms)
    assert labelled.info == {"charge": 1}
    assert "REF_forces" not in labelled.atoms.arrays
    assert not labelled.atoms.constraints
    assert atoms.info["REF_energy"] == -1.0
    assert atoms.constraints


def test_molecules_have_no_stress(tmp_path):
    water = LabelledStructure(molecule("H2O"), -76.0, np.zeros((3, 3)))
    water.atoms.set_initial_magnetic_moments(None)
    write_dataset(tmp_path / "a", [water])
    (found,) = read_dataset(tmp_path / "a")
    assert found.stress is None
    assert not found.atoms.pbc.any()
    assert found.atoms.cell.rank == 0


def test_a_stress_of_a_slab_is_left_out_with_a_note(tmp_path):
    slab = 'Lattice="5 0 0 0 5 0 0 0 20" pbc="T T F" REF_stress="0 0 0 0 0 0 0 0 0"'
    (tmp_path / "a").write_text(
        GOOD.replace("-1.5", f"-1.5 {slab}") + frame(f"{PROPERTIES} REF_energy=-2.0", ("O 0 0 0 1 2 3",))
    )
    with pytest.warns(UserWarning, match=r"REF_stress of 1 of 2 frames \(first: 0\) is left out"):
        found = read_dataset(tmp_path / "a")
    assert found[0].stress is None
    assert "REF_stress" not in found[0].info
    assert found[0].where == f"{tmp_path / 'a'} frame 0"


def test_isolated_atoms_need_no_forces_and_can_be_set_apart(tmp_path):
    box = 'Lattice="20 0 0 0 20 0 0 0 20" pbc="T T T"'
    marked = frame(f"{box} Properties=species:S:1:pos:R:3 REF_energy=-13.6 config_type=IsolatedAtom", ("H 0 0 0",))
    alone = frame('Properties=species:S:1:pos:R:3 REF_energy=-2041.25 pbc="F F F"', ("O 0 0 0",))
    write_dataset(tmp_path / "a", [liquid(0)])
    (tmp_path / "a").write_text(marked + alone + (tmp_path / "a").read_text())
    structures, energies = split_isolated_atoms(read_dataset(tmp_path / "a"))
    assert energies == {1: -13.6, 8: -2041.25}
    assert len(structures) == 1
    assert same(structures[0], liquid(0))


@pytest.mark.parametrize("word", ["isolated_atom", "isolated atom", "ISOLATED-ATOM", "Isolated_Atoms"])
def test_every_spelling_of_isolated_atom_is_understood(word):
    box = Atoms("H", cell=[4] * 3, pbc=True, info={"config_type": word})
    assert is_isolated_atom(box) == (word != "Isolated_Atoms")


@pytest.mark.parametrize(
    ("cell", "pbc", "isolated"),
    [
        ([20, 20, 20], True, True),
        ([20, 20, 7.9], True, False),
        ([20, 20, 4], [True, True, False], True),
        ([20, 20, 0], [True, True, False], True),
        ([4, 20, 20], [True, False, False], False),
        # long vectors, but a short sum of two of them
        ([[20, 0, 0], [19, 4, 0], [0, 0, 20]], True, False),
        ([0, 0, 0], True, False),
    ],
)
def test_one_atom_far_from_its_images_is_isolated(cell, pbc, isolated):
    assert is_isolated_atom(Atoms("H", cell=cell, pbc=pbc)) == isolated
    assert not is_isolated_atom(Atoms("H2", [[0, 0, 0], [0, 0, 1]], cell=cell, pbc=pbc))


def test_isolated_atoms_in_a_box_are_set_apart_and_may_repeat(tmp_path):
    def alone(energy):
        box = Atoms("H", cell=[20] * 3, pbc=True, info={"config_type": "isolated_atom"})
        return LabelledStructure(box, energy, np.zeros((1, 3)))

    write_dataset(tmp_path / "a", [alone(-13.6), liquid(0), alone(-13.6)])
    structures, energies = split_isolated_atoms(read_dataset(tmp_path / "a"))
    assert energies == {1: -13.6}
    assert len(structures) == 1
    _, energies = split_isolated_atoms([alone(-13.6), alone(-13.6004)])
    assert energies[1] == pytest.approx(-13.6002)


def test_isolated_atoms_that_contradict_each_other_are_refused():
    atoms = [LabelledStructure(Atoms("H"), energy, np.zeros((1, 3))) for energy in (-13.6, -13.5)]
    with pytest.raises(InputError, match="isolated H has two energies"):
        split_isolated_atoms(atoms)
    pair = LabelledStructure(
        Atoms("H2", [[0, 0, 0], [0, 0, 1]], info={"config_type": "IsolatedAtom"}), 0.0, np.zeros((2, 3))
    )
    with pytest.raises(InputError, match="expected one atom"):
        split_isolated_atoms([pair])


def test_isolated_atoms_at_fault_are_named_by_their_frames(tmp_path):
    def alone(energy):
        return LabelledStructure(Atoms("H"), energy, np.zeros((1, 3)))

    write_dataset(tmp_path / "a", [liquid(0), alone(-13.5), liquid(1), alone(-13.6)])
    with pytest.raises(InputError, match=r"energies, -13.6 eV \(\S*a frame 3\) and -13.5 eV \(\S*a frame 1\); keep"):
        split_isolated_atoms(read_dataset(tmp_path / "a"))
    marked = liquid(1)
    marked.atoms.info["config_type"] = "IsolatedAtom"
    write_dataset(tmp_path / "a", [liquid(0), marked])
    with pytest.raises(InputError, match=r"a frame 1 has config_type=IsolatedAtom and 12 atoms; expected one atom"):
        split_isolated_atoms(read_dataset(tmp_path / "a"))


def test_duplicates_are_found_kept_and_noted(tmp_path):
    dataset = [liquid(0), liquid(1), liquid(0)]
    assert find_duplicates(dataset) == [(0, 2)]
    assert find_duplicates(dataset[:2]) == []
    write_dataset(tmp_path / "a", dataset)
    with pytest.warns(UserWarning, match="frame 2 repeats the structure of frame 0;"):
        assert len(read_dataset(tmp_path / "a")) == 3
    write_dataset(tmp_path / "a", [*dataset, LabelledStructure(dataset[1].atoms, 1.0, dataset[1].forces)])
    with pytest.warns(UserWarning, match="and 1 more"):
        read_dataset(tmp_path / "a")


def frame(comment, rows=("O 0 0 0 1 2 3", "H 0 0 1 1 2 3")):
    return "\n".join([str(len(rows)), comment, *rows]) + "\n"


PROPERTIES = "Properties=species:S:1:pos:R:3:REF_forces:R:3"
GOOD = frame(f"{PROPERTIES} REF_energy=-1.5")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("\n \n", "is empty"),
        ("hello\n", "expected the number of atoms of frame 0"),
        (GOOD[:-20], "breaks off in frame 0"),
        (GOOD + "2\n", "breaks off in frame 1"),
        (GOOD + "\n" + GOOD, "blank line at 5"),
        (GOOD.replace("O 0 0 0 1 2 3", "O 0 0 0 1 2"), "can't be read"),
        (GOOD.replace("O 0", "Qq 0"), "can't be read"),
        (GOOD.replace("O 0", "O zero"), "can't be read"),
        (GOOD.replace("REF_energy", "nothing").replace("REF_forces", "speed"), "no labels REF_energy and REF_forces"),
        (GOOD.replace("REF_", ""), "it has energy, forces: name those as keys"),
        (GOOD + GOOD.replace("REF_energy", "dft_energy") + GOOD, r"lacks REF_energy in 1 of 3 frames \(1\)"),
        (GOOD + 2 * GOOD.replace("REF_forces", "dft_forces"), r"lacks REF_forces in 2 of 3 frames \(1, 2\)"),
        (GOOD.replace("-1.5", "nan"), "frame 0: REF_energy is not finite"),
        (GOOD + GOOD.replace("1 2 3", "1 inf 3"), "frame 1: REF_forces is not finite"),
        (GOOD.replace("=-1.5", ""), "frame 0: REF_energy is True; expected numbers"),
        (GOOD.replace("=-1.5", "=high"), "REF_energy is 'high'; expected numbers"),
        (GOOD.replace("-1.5", '"1 2 3"'), r"REF_energy has shape \(3,\); expected one number"),
        (GOOD.replace("forces:R:3", "forces:R:2"), r"REF_forces has shape \(2, 2\); expected \(2, 3\)"),
        (GOOD.replace("O 0 0 0", "O 0 0 nan"), "frame 0 has positions that are not finite"),
        (GOOD.replace("H 0 0 1", "H 0 0 0"), "frame 0 has coincident atoms"),
        (GOOD.replace("-1.5", '-1.5 Lattice="5 0 0 0 5 0 0 0 5" REF_stress="1 0 0 0"'), r"REF_stress has shape \(4,\)"),
        (
            GOOD.replace("-1.5", '-1.5 Lattice="5 0 0 0 5 0 0 0 5" REF_stress="1 1 0 0 1 0 0 0 1"'),
            "REF_stress is not symmetric",
        ),
        (GOOD.replace("-1.5", "-1.5 format=jaxft-dataset format_version=2"), "version 2, but this jaxft reads up to 1"),
        (GOOD.replace("-1.5", "-1.5 format=jaxft-dataset"), "version None"),
    ],
)  # fmt: skip
def test_bad_files_are_refused_in_words(tmp_path, text, words):
    path = tmp_path / "bad.extxyz"
    path.write_text(text)
    with pytest.raises(InputError, match=words) as caught:
        read_dataset(path)
    assert "bad.extxyz" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_good_frame_is_good(tmp_path):
    (tmp_path / "good").write_text(GOOD)
    assert read_dataset(tmp_path / "good")[0].energy == -1.5


def test_absent_folders_and_binaries_are_refused(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_dataset(tmp_path / "absent")
    with pytest.raises(InputError, match="is a folder"):
        read_dataset(tmp_path)
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(InputError, match="not text"):
        read_dataset(tmp_path / "binary")


@pytest.mark.parametrize(
    ("info", "words"),
    [
        ({"REF_energy": 3.0}, "'REF_energy' of its own"),
        ({"Lattice": 3.0}, "'Lattice' of its own"),
        ({"thing": object()}, "can't be stored"),
        ({"nan": float("nan")}, "can't be stored"),
    ],
)
def test_what_would_not_come_back_is_not_written(tmp_path, info, words):
    labelled = liquid(0)
    labelled.atoms.info.update(info)
    with pytest.raises(InputError, match=words):
        write_dataset(tmp_path / "a", [labelled])
    assert not list(tmp_path.iterdir())


def test_nothing_to_write_is_refused(tmp_path):
    with pytest.raises(InputError, match="no labelled structures"):
        write_dataset(tmp_path / "a", [])


def test_a_failed_write_leaves_the_old_file(tmp_path):
    write_dataset(tmp_path / "a", [liquid(0)])
    before = (tmp_path / "a").read_bytes()
    bad = liquid(1)
    bad.atoms.set_array("words", np.array(["a b"] * 12))
    with pytest.raises(InputError, match="space"):
        write_dataset(tmp_path / "a", [liquid(0), bad])
    assert (tmp_path / "a").read_bytes() == before


def test_3bpa_as_published(shared_file, tmp_path):
    dataset = read_dataset(shared_file("data", "3bpa", "train_300K.xyz"), ASE_KEYS)
    assert len(dataset) == 500
    assert dataset[0].energy == -17660.461737861464
    assert dataset[0].forces[0].tolist() == [0.17092934, 0.13274200, 0.79555789]
    assert dataset[0].info["dihedrals"].tolist() == [209.44, 80.54, 59.96]
    write_dataset(tmp_path / "again", dataset[:50])
    assert all(map(same, dataset, read_dataset(tmp_path / "again")))


def test_3bpa_isolated_atoms_as_published(shared_file):
    structures, energies = split_isolated_atoms(read_dataset(shared_file("data", "3bpa", "iso_atoms.xyz"), ASE_KEYS))
    assert structures == []
    assert energies[8] == -2041.9816003861047
    assert sorted(energies) == [1, 6, 7, 8]
