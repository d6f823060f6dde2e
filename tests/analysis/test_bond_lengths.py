"""Lengths of one bond, against ASE's distances, over structures and over frames."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule

from jaxft.analysis.bond_lengths import bond_lengths, length_per_atom
from jaxft.analysis.frames import Frames
from jaxft.errors import InputError

CELL = np.array([[5.0, 0.0, 0.0], [3.5, 4.0, 0.0], [-1.0, 2.0, 4.5]])
NUMBERS = np.array([8, 1, 1, 8, 1, 1, 3])
OH = {"of": "H", "to": "O", "shortest": 0.5, "longest": 3.0}


def boxes(n=30, seed=0, pbc=True):
    rng = np.random.default_rng(seed)
    return [Atoms(NUMBERS, positions=rng.uniform(-8, 8, (7, 3)), cell=CELL, pbc=pbc) for _ in range(n)]


def by_hand(atoms, of, to):
    """The nearest other atom by looking at all images."""
    turns = [np.arange(-5, 6) if periodic else [0] for periodic in atoms.pbc]
    images = np.stack(np.meshgrid(*turns), axis=-1).reshape(-1, 3) @ CELL
    found = np.full(len(atoms), np.nan)
    for i in np.flatnonzero(np.array(atoms.get_chemical_symbols()) == of):
        others = [j for j in np.flatnonzero(np.array(atoms.get_chemical_symbols()) == to) if j != i]
        found[i] = min(np.linalg.norm(atoms.positions[j] + images - atoms.positions[i], axis=1).min() for j in others)
    return found


@pytest.mark.parametrize(("of", "to"), [("H", "O"), ("O", "H"), ("O", "O"), ("Li", "O")])
@pytest.mark.parametrize("pbc", [True, (True, False, True), False])
def test_each_atom_has_the_distance_to_its_nearest_partner_among_all_images(of, to, pbc):
    for atoms in boxes(pbc=pbc):
        inside = atoms.copy()
        inside.wrap()  # fewer images for the check by hand
        np.testing.assert_allclose(length_per_atom(atoms, of, to), by_hand(inside, of, to), atol=1e-9)


def test_a_molecule_in_free_space():
    np.testing.assert_allclose(length_per_atom(molecule("H2O"), "H", "O"), [np.nan, 0.96856, 0.96856], atol=1e-4)


def test_the_distribution_is_that_of_all_lengths():
    data = boxes(200)
    found = bond_lengths("boxes", data, **OH)
    lengths = np.concatenate([by_hand_wrapped(atoms) for atoms in data])
    assert found.n == len(lengths) == 800
    assert found.mean == pytest.approx(lengths.mean())
    assert found.sd == pytest.approx(lengths.std(ddof=1))
    assert (found.shortest, found.longest) == pytest.approx((lengths.min(), lengths.max()))
    density = np.histogram(lengths, found.edges)[0] / 800 / 0.025
    np.testing.assert_allclose(found.density, density)
    assert found.beyond == pytest.approx((lengths > 3.0).mean())


def by_hand_wrapped(atoms):
    inside = atoms.copy()
    inside.wrap()
    values = by_hand(inside, "H", "O")
    return values[np.isfinite(values)]


def test_frames_of_a_trajectory_give_what_their_structures_give():
    data = boxes(150)
    stream = Frames(np.array([atoms.positions for atoms in data]), CELL, np.ones(3, bool), NUMBERS, 10.0)
    streamed, listed = bond_lengths("x", stream, **OH), bond_lengths("x", data, **OH)
    assert streamed.mean == pytest.approx(listed.mean, rel=1e-12)
    assert streamed.sd == pytest.approx(listed.sd, rel=1e-12)
    assert (streamed.n, streamed.density, streamed.beyond) == (listed.n, listed.density, listed.beyond)


def test_a_dataset_without_the_bond_says_so():
    dry = bond_lengths("salt", [Atoms("NaCl", positions=[[0, 0, 0], [2.8, 0, 0]])], **OH)
    assert (dry.n, dry.mean, dry.why) == (0, None, "salt has no H with a O")
    nothing = bond_lengths("nothing", [], **OH)
    assert nothing.why == "nothing has no H with a O"
    assert np.isnan(length_per_atom(Atoms("H2"), "H", "O")).all()
    no_frames = Frames(np.empty((0, 7, 3)), CELL, np.ones(3, bool), NUMBERS, 10.0)
    assert bond_lengths("empty", no_frames, **OH).n == 0


def test_one_length_has_no_sd_and_a_record_is_plain_json():
    found = bond_lengths("one", [Atoms("OH", positions=[[0, 0, 0], [1, 0, 0]])], **OH)
    assert (found.n, found.mean, found.sd) == (1, 1.0, None)
    json.dumps([asdict(found), asdict(bond_lengths("x", boxes(3), **OH))], allow_nan=False)


def test_what_makes_no_sense_is_named():
    with pytest.raises(InputError, match="no element is called 'X1'"):
        length_per_atom(boxes(1)[0], "X1", "O")
    with pytest.raises(InputError, match="shortest < longest"):
        bond_lengths("x", boxes(1), "H", "O", shortest=2.0, longest=1.0)
