"""Tables of errors on the terminal: headings that say what the numbers are, and nothing cut."""

from io import StringIO

import numpy as np
from ase import Atoms
from rich.console import Console

from jaxft.cli.finetune import print_errors
from jaxft.finetune.metrics import errors_of
from jaxft.finetune.predict_set import SetPrediction
from jaxft.structures.dataset import LabelledStructure


def metrics(errors, stressed=0, symbols="OH"):
    """Errors of energies (eV) as they are given, forces 0.1 eV/Å off, a stress on the first structures."""
    data, said = [], []
    for k, error in enumerate(errors):
        atoms = Atoms(symbols, positions=np.eye(3)[: len(symbols)], cell=[9] * 3, pbc=True)
        forces = np.zeros((len(atoms), 3))
        data.append(LabelledStructure(atoms, 0.0, forces, np.zeros((3, 3)) if k < stressed else None))
        said.append((error * len(atoms), forces + 0.1, np.full((3, 3), 0.01)))
    energies, forces, stresses = zip(*said, strict=True)
    return errors_of(SetPrediction(np.array(energies), forces, stresses), data)


def printed(stages, width=80):
    text = StringIO()
    print_errors(Console(file=text, width=width, soft_wrap=True), stages)
    return text.getvalue()


def test_the_energy_is_told_as_it_is_and_centred():
    lines = printed({"": {"waters": metrics([184.0, 184.002])}}).splitlines()
    row = next(line.split() for line in lines if line.startswith("waters"))
    assert row == ["waters", "2", "184001", "184001", "1", "100", "100"]
    assert lines[0] == "errors, energy in meV/atom, forces in meV/Å"
    assert lines[1].split() == ["energy", "energy", "centred", "forces", "forces"]


def test_one_structure_has_no_centred_error():
    text = printed({"before": {"train": metrics([1.0])}, "after": {"train": metrics([0.5])}})
    rows = [line.split() for line in text.splitlines() if "train" in line]
    assert [row[5] for row in rows[:2]] == ["–", "–"]
    assert "before: the base with the new reference energies" in text


def test_a_stress_of_some_structures_says_of_how_many():
    assert "stress of train: of the 2 of 3 structures" in printed({"": {"train": metrics([1.0, 2.0, 3.0], stressed=2)}})
    assert "stress" not in printed({"": {"train": metrics([1.0, 2.0])}})


def test_nothing_is_cut_where_the_output_is_narrow():
    name = "a-long-name-of-a-validation-set.extxyz"
    one = metrics([100.0, 2.0], stressed=2, symbols=["O", "H", "C"])
    text = printed({"before": {name: one}, "after": {name: one}}, width=40)
    assert text.count(name) == 4
    assert "…" not in text
