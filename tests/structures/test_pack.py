"""Packed boxes: no overlaps across any image, whole molecules, the right density, the same box for the same seed."""

import shutil

import numpy as np
import pytest
from ase.geometry import get_distances
from scipy.spatial.transform import Rotation

from jaxft.errors import InputError
from jaxft.structures.composition import box_edge, parse_composition, total_mass
from jaxft.structures.contacts import minimum_distances
from jaxft.structures.pack import _Liquid, pack, rotation_gradient
from jaxft.units import GRAM_PER_CM3

STUDY = {"CoCl2": 1, "LiCl": 2, "H2O": 15}
EIGHTFOLD = {formula: 8 * n for formula, n in STUDY.items()}


def nearest_share(atoms, composition):
    """Smallest distance between atoms of different bodies as a share of the minimum one, by ASE's minimum image."""
    sizes = [len(body.numbers) for body in parse_composition(composition)]
    body = np.repeat(np.arange(len(sizes)), sizes)
    lengths = get_distances(atoms.positions, cell=atoms.cell, pbc=True)[1]
    shares = lengths / minimum_distances(atoms.numbers)
    return shares[body[:, None] != body[None, :]].min()


@pytest.mark.parametrize("seed", range(3))
def test_study_box_packs_at_its_density_with_full_contacts(seed):
    atoms = pack(STUDY, 1.3, seed)
    assert nearest_share(atoms, STUDY) >= 1.0
    assert total_mass(STUDY) / atoms.get_volume() / GRAM_PER_CM3 == pytest.approx(1.3, rel=1e-12)
    assert atoms.pbc.all()
    assert atoms.calc is None
    assert not atoms.has("initial_magmoms")


def test_study_box_packs_for_two_hundred_seeds():
    assert min(nearest_share(pack(STUDY, 1.3, seed), STUDY) for seed in range(200)) >= 1.0


def test_the_eightfold_box_packs_too():
    atoms = pack(EIGHTFOLD, 1.3, 0)
    assert len(atoms) == 416
    assert nearest_share(atoms, EIGHTFOLD) >= 1.0


def test_geometry_of_molecules_is_exact_and_not_mirrored():
    atoms = pack({"CH3OH": 10}, 0.8, 1)
    (wanted,) = parse_composition({"CH3OH": 1})
    for k in range(10):
        placed = atoms.positions[6 * k : 6 * k + 6]
        centred = placed - placed.mean(axis=0)
        rotation = Rotation.align_vectors(centred, wanted.positions)[0]  # never a mirror image
        np.testing.assert_allclose(rotation.apply(wanted.positions), centred, atol=1e-12)


def test_centres_lie_in_the_box():
    atoms = pack(STUDY, 1.3, 5)
    ions = atoms.positions[:7]
    assert ((ions >= 0) & (ions <= atoms.cell[0, 0])).all()


def test_same_seed_same_box_and_other_seed_other_box():
    first, again, other = pack(STUDY, 1.3, 3), pack(STUDY, 1.3, 3), pack(STUDY, 1.3, 4)
    assert first.positions.tobytes() == again.positions.tobytes()
    assert np.abs(first.positions - other.positions).max() > 1.0


def test_global_random_state_is_left_alone():
    state = np.random.get_state()[1].copy()
    pack({"H2O": 4}, 1.0, 0)
    np.testing.assert_array_equal(state, np.random.get_state()[1])


def test_a_molecule_keeps_clear_of_its_own_image():
    with pytest.raises(InputError, match="could not pack"):
        pack({"C6H6": 1}, 4.0, 0)  # a cube of 3.2 Å, and benzene is 5 Å across


def test_too_dense_says_so_with_the_density():
    with pytest.raises(InputError, match=r"density_g_cm3 = 9 .*lower the density"):
        pack({"H2O": 8}, 9.0, 0, tolerance=0.05)


def test_tolerance_zero_never_shrinks_contacts():
    composition = {"Cu": 16}
    with pytest.raises(InputError, match="could not pack"):
        pack(composition, 8.0, 0, tolerance=0.0)
    share = nearest_share(pack(composition, 8.0, 0, tolerance=0.3), composition)
    assert 0.7 <= share < 1.0


@pytest.mark.parametrize(
    ("options", "words"),
    [({"method": "pacmol"}, "not one of"), ({"tolerance": 1.0}, "share"), ({"tolerance": -0.1}, "share")],
)
def test_bad_options_are_refused(options, words):
    with pytest.raises(InputError, match=words):
        pack(STUDY, 1.3, 0, **options)


def test_packmol_is_asked_for_only_where_it_is(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match="not installed"):
        pack(STUDY, 1.3, 0, method="packmol")
    built_in = pack(STUDY, 1.3, 0)
    np.testing.assert_array_equal(pack(STUDY, 1.3, 0, method="auto").positions, built_in.positions)


@pytest.mark.skipif(shutil.which("packmol") is None, reason="packmol is not installed")
def test_packmol_gives_the_same_kind_of_box():
    composition = {**STUDY, "N2": 1}
    atoms = pack(composition, 1.3, 0, method="packmol")
    assert nearest_share(atoms, composition) >= 1.0
    np.testing.assert_array_equal(atoms.positions, pack(composition, 1.3, 0, method="packmol").positions)


def test_rotation_gradient_agrees_with_finite_differences():
    rng = np.random.default_rng(0)
    local, weights = rng.normal(size=(2, 5, 3))
    vectors = np.array([[0.0, 0.0, 0.0], [1e-5, 0.0, 2e-5], [0.3, -1.2, 0.7], [2.0, 2.0, 1.0], [0.0, 0.0, 3.1]])

    def energy(w):
        return np.sum(weights * Rotation.from_rotvec(w).apply(local))

    torque = np.cross(Rotation.from_rotvec(vectors).apply(local), weights)
    numeric = np.zeros_like(vectors)
    for index in np.ndindex(*vectors.shape):
        step = np.zeros_like(vectors)
        step[index] = 1e-5
        numeric[index] = (energy(vectors + step) - energy(vectors - step)) / 2e-5
    np.testing.assert_allclose(rotation_gradient(vectors, torque), numeric, atol=1e-8)


def test_overlap_energy_gradient_agrees_with_finite_differences():
    bodies = parse_composition({"LiCl": 1, "H2O": 2})
    edge = box_edge({"LiCl": 1, "H2O": 2}, 1.0)  # 5.1 Å: atoms also meet images
    liquid = _Liquid(bodies, edge)
    rng = np.random.default_rng(1)
    positions = liquid.positions(rng.uniform(0, edge, (4, 3)), Rotation.from_quat(rng.normal(size=(4, 4))))
    energy, gradient = liquid._energy_and_gradient(positions, 1.0)
    assert energy > 0.1
    numeric = np.zeros_like(positions)
    for index in np.ndindex(*positions.shape):
        step = np.zeros_like(positions)
        step[index] = 1e-6
        numeric[index] = (liquid.overlap(positions + step, 1.0) - liquid.overlap(positions - step, 1.0)) / 2e-6
    np.testing.assert_allclose(gradient, numeric, atol=1e-6)
