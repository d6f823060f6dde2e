"""Committees: means and spreads of what the members say alone."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from jaxft.errors import InputError
from jaxft.potential.committee import Committee, load_committee, mean_and_spread
from jaxft.potential.evaluate import Evaluator


@pytest.fixture(scope="module")
def members(make_tiny):
    first = make_tiny(0)
    return [replace(make_tiny(seed), reference_energies=first.reference_energies + seed) for seed in range(3)]


def test_means_and_spreads_are_those_of_the_members_alone(members, water):
    atoms = water
    said = [Evaluator(member, dtype="float64")(atoms) for member in members]
    found = Committee(members, dtype="float64")(atoms)
    energies = np.stack([one.energies for one in said])
    forces = np.stack([one.forces for one in said])
    assert_allclose(found.energy, np.mean([one.energy for one in said]), rtol=1e-12)
    assert_allclose(found.energy_spread, np.std([one.energy for one in said], ddof=1), rtol=1e-9)
    assert_allclose(found.energies, energies.mean(axis=0), rtol=1e-12)
    assert_allclose(found.energies_spread, energies.std(axis=0, ddof=1), rtol=1e-9)
    assert_allclose(found.forces, forces.mean(axis=0), atol=1e-10)
    assert_allclose(found.stress, np.mean([one.stress for one in said], axis=0), atol=1e-12)
    expected = np.sqrt(((forces - forces.mean(axis=0)) ** 2).sum(axis=(0, 2)) / 2)
    assert_allclose(found.forces_spread, expected, rtol=1e-9)


def test_the_spread_of_vectors_is_that_of_their_components_together():
    said = np.random.default_rng(0).normal(size=(4, 5, 3))
    _, of_vectors = mean_and_spread(said, vectors=True)
    _, of_components = mean_and_spread(said)
    assert_allclose(of_components, said.std(axis=0, ddof=1))
    assert_allclose(of_vectors, np.linalg.norm(of_components, axis=-1))


def test_equal_members_agree(members, water):
    found = Committee([members[0]] * 2)(water)
    assert found.energy_spread == 0.0
    assert not found.forces_spread.any()


def test_one_saved_member_gives_a_mean_and_no_spread(members, water, tmp_path):
    members[1].save(tmp_path / "model-2")
    with pytest.warns(UserWarning, match="has one member, model-2: its spread is unknown"):
        found = load_committee(tmp_path)(water)
    assert_allclose(found.forces, Evaluator(members[1])(water).forces, atol=1e-5)
    assert np.isnan([found.energy_spread, *found.energies_spread, *found.forces_spread]).all()


def test_saved_members_are_found_in_order(members, tmp_path):
    (tmp_path / "model-old").mkdir()
    (tmp_path / "model-1").write_text("no folder")
    for k in (10, 2, 0):
        replace(members[0], reference_energies=members[0].reference_energies + k).save(tmp_path / f"model-{k}")
    shifts = [m.reference_energies[0] - members[0].reference_energies[0] for m in load_committee(tmp_path).members]
    assert_allclose(shifts, [0, 2, 10])


def test_what_is_no_committee_is_refused(members, make_tiny, tmp_path):
    with pytest.raises(InputError, match="at least one member, got none"):
        Committee([])
    with pytest.raises(InputError, match="differ"):
        Committee([members[0], make_tiny(0, lmax=1, hidden="4x0e+4x1o")])
    with pytest.raises(InputError, match="has no model-0"):
        load_committee(tmp_path)
