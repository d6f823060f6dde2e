"""The battery of physical checks, over the NequIP-type network and every kind of cell."""

import battery
import numpy as np
import pytest

from jaxft.potential.evaluate import Evaluator


@pytest.fixture(scope="module")
def calculate(tiny):
    return Evaluator(tiny, dtype="float64")


KINDS = ["periodic", "molecule", "slab", "wire", "triclinic primitive", "outside the cell", "left-handed"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "check",
    [
        battery.check_rotation_and_translation,
        battery.check_inversion,
        battery.check_permutation,
        battery.check_extensivity,
        battery.check_forces,
    ],
)
def test_physical_check(calculate, structures, kind, check):
    check(calculate, structures[kind])


@pytest.mark.parametrize("kind", ["periodic", "triclinic primitive", "left-handed"])
def test_stress_is_the_strain_derivative_of_the_energy(calculate, structures, kind):
    battery.check_stress(calculate, structures[kind])


def test_an_edge_at_the_cutoff_contributes_nothing(calculate, tiny):
    from ase import Atoms

    def pair(distance):
        return calculate(Atoms("OCl", positions=[[0, 0, 0], [0, 0, distance]]))

    apart = calculate(Atoms("O")).energy + calculate(Atoms("Cl")).energy
    assert pair(tiny.cutoff + 1e-9).energy == pytest.approx(apart, abs=1e-12)
    assert pair(tiny.cutoff - 1e-3).energy == pytest.approx(apart, abs=1e-6)
    assert abs(pair(tiny.cutoff - 1.0).energy - apart) > 1e-3


def test_padding_changes_nothing(tiny, water):
    import jax

    from jaxft.potential.evaluate import compiled_predict as predict
    from jaxft.structures.batch import build_graph

    params = jax.tree.map(lambda x: x.astype(np.float64), tiny.params)
    plain = predict(tiny.network, params, build_graph([water], (1, 8, 17), 3.5, dtype=np.float64))
    padded = predict(
        tiny.network, params, build_graph([water], (1, 8, 17), 3.5, n_atoms=20, n_edges=900, dtype=np.float64)
    )
    np.testing.assert_allclose(padded.forces[:12], plain.forces, atol=1e-13)
    np.testing.assert_array_equal(padded.forces[12:], 0.0)
    np.testing.assert_allclose(padded.virials, plain.virials, atol=1e-12)


def test_structures_in_one_graph_do_not_see_each_other(tiny, structures):
    import jax

    from jaxft.potential.evaluate import compiled_predict as predict
    from jaxft.structures.batch import build_graph

    params = jax.tree.map(lambda x: x.astype(np.float64), tiny.params)
    chosen = [structures[k] for k in ("periodic", "molecule", "left-handed")]
    together = predict(tiny.network, params, build_graph(chosen, (1, 8, 17), 3.5, dtype=np.float64))
    for k, atoms in enumerate(chosen):
        alone = predict(tiny.network, params, build_graph([atoms], (1, 8, 17), 3.5, dtype=np.float64))
        np.testing.assert_allclose(together.energies[k], alone.energies[0], atol=1e-12)
        np.testing.assert_allclose(together.virials[k], alone.virials[0], atol=1e-12)
