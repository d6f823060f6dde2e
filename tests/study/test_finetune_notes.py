"""Notes of a fine-tune: energies that mean nothing, a training that improved nothing, isolated atoms that nobody asked for."""

from types import SimpleNamespace

import numpy as np
import pytest
from ase import Atoms

from jaxft.finetune.metrics import errors_of
from jaxft.finetune.offset import fit_offset
from jaxft.finetune.predict_set import SetPrediction
from jaxft.finetune.settings import FinetuneSettings
from jaxft.structures.dataset import LabelledStructure
from jaxft.study.finetune_data import Labelled
from jaxft.study.finetune_notes import notes_of


def labelled(*formulas):
    return [
        LabelledStructure(Atoms(f), -10.0 * len(Atoms(f)), np.ones((len(Atoms(f)), 3)), None, f"a.xyz frame {k}")
        for k, f in enumerate(formulas)
    ]


def errors(data, energy=0.0, force=1.0):
    """Of a potential whose energies are too large by so many eV per atom, its forces by so many eV/Å."""
    energies = np.array([d.energy + energy * len(d.atoms) for d in data])
    return errors_of(SetPrediction(energies, tuple(d.forces + force for d in data), (None,) * len(data)), data)


def noted(references="refit", error=0.0, best_update=7, isolated=(), after=0.1, **others):
    train = labelled("H2O", "H4O2", "H2O")
    offset = fit_offset([d.atoms for d in train], np.zeros(3))
    result = SimpleNamespace(offset=offset, validation=np.ones(3), best_update=best_update, failure=None)
    of_labels = Labelled({"train": train, **others}, dict.fromkeys(isolated, -1.0), None, {})
    settings = FinetuneSettings(reference_energies=references)
    return notes_of(
        settings, of_labels, {"train": errors(train, error)}, {"train": errors(train, 0.0, after)}, [result]
    )


def test_nothing_is_noted_where_nothing_is_odd():
    assert noted(validation=labelled("H2O"), test=labelled("H6O3")) == []
    # with refitted reference energies the base is right on average whatever the zero of energy; small differences are the labels'
    assert noted("keep", error=0.5, test=labelled("LiCl")) == []


@pytest.mark.parametrize(("name", "more"), [("validation", True), ("test", False)])
def test_compositions_whose_energies_the_labels_do_not_determine_are_named(name, more):
    (note,) = noted(**{name: labelled("H2O", "LiCl", "H2", "LiCl")})
    assert note.startswith(f"3 of 4 structures of {name} (ClLi, H2) are no combination of compositions")
    assert ("and so does the loss" in note) == more


def test_a_training_that_improved_nothing_is_noted():
    (note,) = noted(best_update=0, validation=labelled("H2O"))
    assert note.startswith("no parameters were better on the validation structures than those of the start")


def test_members_are_counted_with_those_that_stopped():
    train = labelled("H2O")
    offset = fit_offset([train[0].atoms], np.zeros(1))
    stopped, kept = (
        SimpleNamespace(offset=offset, validation=np.ones(3), best_update=0, failure=f) for f in ("x", None)
    )
    same = {"train": errors(train)}
    (note,) = notes_of(FinetuneSettings(), Labelled({"train": train}, {}, None, {}), same, same, [stopped, kept])
    assert note.startswith("no parameters of member 1 were better")


def test_a_training_that_made_its_own_labels_worse_is_noted():
    (note,) = noted(after=1.5)
    assert note.startswith("training made the forces of its own labels worse (1000.0 to 1500.0 meV/Å, RMSE)")


def test_another_zero_of_energy_is_noted_where_it_is_kept():
    (note,) = noted("keep", error=47.0)
    assert "-47 eV/atom from the base's" in note
    assert noted(error=47.0) == []


def test_isolated_atoms_that_are_not_used_are_named():
    (note,) = noted(isolated=(8, 1))
    assert note == "the file has isolated atoms of H, O; finetune.reference_energies: isolated would use them"
    assert noted("isolated", isolated=(8, 1)) == []
