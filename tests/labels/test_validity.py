"""Which labels are refused for training; the store keeps them all the same."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule

from jaxft.errors import InputError
from jaxft.labels.label import Cost, Failure, Label, Provenance
from jaxft.labels.reference import ReferenceSettings, compute
from jaxft.labels.validity import LabelLimits, refusal

COST = Cost(None, None, None)


def label(forces, multiplicity=None, n_unpaired=None, moments=None):
    provenance = Provenance("engine", "1", {}, 0.0, multiplicity)
    moments = None if moments is None else np.array(moments, dtype=float)
    return Label(-1.0, np.array(forces, dtype=float), None, provenance, COST, n_unpaired=n_unpaired, moments=moments)


def pair(distance, **cell):
    return Atoms("OH", positions=[[0, 0, 0], [0, 0, distance]], **cell)


def test_a_molecule_at_rest_may_be_trained_on():
    water = molecule("H2O")
    assert refusal(compute(water, ReferenceSettings()), water) is None


def test_a_failure_is_refused_with_its_reason():
    failure = Failure("not converged", "250 cycles", Provenance("e", "1", {}, 0, None), COST)
    assert refusal(failure, pair(1.0)) == "not converged: 250 cycles"


@pytest.mark.parametrize(("strength", "refused"), [(29.9, False), (30.1, True)])
def test_a_force_over_the_limit_is_refused_by_atom_and_size(strength, refused):
    reason = refusal(label([[0, 0, strength], [0, 0, -strength]]), pair(1.0))
    assert (reason is not None) == refused
    if refused:
        assert "O 0 is 30.1 eV/Å" in reason


def test_the_force_limit_is_a_setting():
    assert refusal(label([[0, 0, 9], [0, 0, -9]]), pair(1.0), LabelLimits(max_force=8.0)) is not None


# covalent radii of O and H: 0.66 + 0.31 Å
@pytest.mark.parametrize(("distance", "refused"), [(0.49, False), (0.48, True)])
def test_atoms_nearer_than_half_their_covalent_radii_are_refused(distance, refused):
    assert (refusal(label(np.zeros((2, 3))), pair(distance)) is not None) == refused


def test_distances_are_taken_through_the_periodic_boundary():
    assert "O 0 and H 1 are 0.40 Å" in refusal(label(np.zeros((2, 3))), pair(4.6, cell=[5, 5, 5], pbc=True))
    assert refusal(label(np.zeros((2, 3))), pair(4.6)) is None


@pytest.mark.parametrize(("net", "refused"), [(0.009, False), (0.011, True)])
def test_forces_that_do_not_sum_to_zero_are_refused(net, refused):
    assert (refusal(label([[net, 0, 0], [0, 0, 0]]), pair(1.0)) is not None) == refused


def test_another_spin_than_asked_is_refused_and_an_unknown_one_is_not():
    forces = np.zeros((2, 3))
    assert "1.00 unpaired" in refusal(label(forces, multiplicity=4, n_unpaired=1.0), pair(1.0))
    assert refusal(label(forces, multiplicity=4, n_unpaired=-3.0), pair(1.0)) is None
    assert refusal(label(forces, multiplicity=4, n_unpaired=None), pair(1.0)) is None


@pytest.mark.parametrize(
    ("moments", "words"),
    [
        ([2.7, 0.2, 0.1], None),
        ([-2.7, -0.2, -0.1], None),  # up and down are names
        ([1.0, 1.0, 1.0], "only 1.00 of the 3 unpaired electrons sit on Co"),
        ([-0.9, 2.0, 1.9], "Co 0 has -0.90 unpaired electrons, against the spin of the whole"),
    ],
)
def test_the_total_spin_on_ligands_is_another_state_than_asked(moments, words):
    cobalt = Atoms("CoCl2", positions=[[0, 0, 0], [2.2, 0, 0], [-2.2, 0, 0]])
    reason = refusal(label(np.zeros((3, 3)), 4, 3.0, moments), cobalt)
    assert (reason is None) == (words is None)
    assert words is None or words in reason
    assert refusal(label(np.zeros((3, 3)), 4, 3.0, moments), cobalt, LabelLimits(min_spin_share=0.0)) is None


def test_where_the_spin_of_a_radical_without_metals_sits_is_free():
    assert refusal(label(np.zeros((2, 3)), 2, 1.0, [0.5, 0.5]), pair(1.0)) is None


def test_a_share_beyond_all_is_an_input_error():
    with pytest.raises(InputError, match="min_spin_share must lie between 0"):
        LabelLimits(min_spin_share=1.5)


def test_a_label_that_is_absurd_but_computed_is_stored_and_refused_only_for_training():
    near = Atoms("OO", positions=[[0, 0, 0], [0, 0, 0.3]])
    entry = compute(near, ReferenceSettings(multiplicity=1))
    assert isinstance(entry, Label)
    assert "0.30 Å" in refusal(entry, near)
