"""The MACE network: what MACE-torch says of random models, the battery of physical checks, descriptors."""

import json

import battery
import jax
import numpy as np
import pytest
from ase import Atoms
from mace_models import FOLDER, HEADS, Padded, check_agreement, model_file

import jaxft
from jaxft.potential.mace import MACESettings
from jaxft.potential.mace_file import read_mace
from jaxft.structures.graph import edge_vectors


@pytest.fixture(scope="module")
def evaluators():
    """Function that gives the evaluator of a model and head, each made and compiled once."""
    made = {}

    def evaluator(name, head, dtype="float64"):
        if (name, head, dtype) not in made:
            made[name, head, dtype] = Padded(jaxft.load(model_file(name), head=head), dtype=dtype)
        return made[name, head, dtype]

    return evaluator


@pytest.mark.parametrize(("name", "head"), [(name, head) for name, heads in HEADS.items() for head in heads])
def test_random_models_agree_with_mace_torch(evaluators, name, head):
    check_agreement(evaluators(name, head), FOLDER / f"{name}_ref.npz", head, energy=1e-11, force=1e-11, largest=1e9)


def test_float32_agrees_with_mace_torch(evaluators):
    path = FOLDER / "density_ref.npz"
    check_agreement(evaluators("density", "pbe", "float32"), path, "pbe", energy=1e-4, force=2e-3, largest=1e3)


REFERENCES = ["tiny_1layer", "tiny_2head", "tiny_mh_like", "tiny_reducedcg", "mp0_small_like", "mp0_medium_like"]


@pytest.mark.parametrize(
    "name", ["tiny", *(pytest.param(name, marks=pytest.mark.slow) for name in [*REFERENCES, "mpa0_like"])]
)
def test_models_of_the_published_families_agree_with_mace_torch(shared_file, name):
    data = shared_file("reference", "mace", f"{name}_ref.npz")
    keys = [str(key) for key in np.load(data)["names"]]
    for head in sorted({key.partition("@")[2] for key in keys}):
        evaluate = Padded(read_mace(shared_file("reference", "mace", f"{name}.model"), head or None), dtype="float64")
        evaluate.n_atoms, evaluate.n_edges = 56, 3520
        check_agreement(evaluate, data, head, energy=1e-10, force=1e-10, largest=1e9)


KINDS = ["periodic", "molecule", "slab", "wire", "triclinic primitive", "outside the cell", "left-handed"]
CHECKS = [
    battery.check_rotation_and_translation,
    battery.check_inversion,
    battery.check_permutation,
    battery.check_extensivity,
    battery.check_forces,
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("check", CHECKS)
def test_physical_check(evaluators, structures, kind, check):
    check(evaluators("density", "pbe"), structures[kind])


@pytest.mark.parametrize("name", ["agnostic", "non_linear"])
@pytest.mark.parametrize("check", CHECKS)
def test_physical_check_of_the_other_blocks(evaluators, structures, name, check):
    check(evaluators(name, HEADS[name][0]), structures["left-handed"])


@pytest.mark.parametrize("name", list(HEADS))
def test_stress_is_the_strain_derivative_of_the_energy(evaluators, structures, name):
    battery.check_stress(evaluators(name, HEADS[name][0]), structures["triclinic primitive"])


@pytest.mark.parametrize("name", list(HEADS))
def test_an_edge_at_the_cutoff_contributes_nothing(evaluators, name):
    calculate = evaluators(name, HEADS[name][0])
    cutoff = calculate.potential.cutoff

    def pair(distance):
        return calculate(Atoms("OCl", positions=[[0, 0, 0], [0, 0, distance]])).energy

    apart = calculate(Atoms("O")).energy + calculate(Atoms("Cl")).energy
    assert pair(cutoff + 1e-9) == pytest.approx(apart, abs=1e-9)
    assert pair(cutoff - 1e-3) == pytest.approx(apart, abs=1e-4)
    assert abs(pair(cutoff - 1.5) - apart) > 1e-4


@pytest.mark.parametrize("name", list(HEADS))
def test_edges_beyond_the_cutoff_change_nothing(evaluators, water, name):
    """Dynamics may keep the edges of its skin; path weights with biases would not vanish there by themselves."""
    evaluate = evaluators(name, HEADS[name][0])
    potential, graph, n = evaluate.potential, evaluate.graph(water), len(water)
    pairs = np.argwhere(~np.eye(n, dtype=bool)).astype(np.int32)
    far = np.random.default_rng(0).normal(size=(len(pairs), 3))
    far *= ((potential.cutoff + np.linspace(1e-9, 2.0, len(pairs))) / np.linalg.norm(far, axis=1))[:, None]
    vectors, senders, receivers = (
        np.array(x) for x in (edge_vectors(graph, potential.cutoff), graph.senders, graph.receivers)
    )
    assert (receivers[-len(pairs) :] == len(graph.positions)).all(), "the far edges take the place of padding"
    vectors[-len(pairs) :] = far
    senders[-len(pairs) :], receivers[-len(pairs) :] = pairs.T
    apply = jax.jit(potential.network.apply)
    with_far = np.asarray(apply(evaluate.params, vectors, graph.species, senders, receivers).energies)[:n]
    energies = with_far + potential.reference_energies[graph.species[:n]]
    np.testing.assert_allclose(energies, evaluate(water).energies, rtol=0, atol=1e-10)


def test_descriptors_are_the_scalars_of_each_layer(water):
    potential = jaxft.load(model_file("agnostic"))
    last, both = (potential.descriptors(water, layers=layers, dtype="float64") for layers in ("last", "all"))
    assert (last.shape, both.shape) == ((12, 4), (12, 8))
    np.testing.assert_array_equal(both[:, 4:], last)


def test_settings_come_back_from_json():
    settings = jaxft.load(model_file("density"), head="pbe").network.settings
    again = MACESettings.from_json(json.loads(json.dumps(settings.to_json())))
    assert again == settings
    assert hash(again) == hash(settings)


def test_random_parameters_have_the_structure_that_files_fill():
    potential = jaxft.load(model_file("non_linear"), head="omat")
    one = np.zeros(1, np.int32)
    drawn = jax.eval_shape(potential.network.init, jax.random.key(0), np.ones((1, 3), np.float32), one, one, one)
    assert jax.tree.map(lambda leaf: leaf.shape, drawn) == jax.tree.map(np.shape, potential.params)
