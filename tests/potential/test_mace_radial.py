"""Radial functions of MACE against their formulas: limits, known values, smoothness at the cutoff."""

import jax
import numpy as np
import pytest

from jaxft.potential.agnesi import AgnesiSettings, agnesi_transform
from jaxft.potential.mace_radial import SIGMOID_GAIN, SILU_GAIN, LayerNormMLP, NormalizedMLP, mace_bessel_basis
from jaxft.potential.zbl import ZBLSettings, zbl_energy

ZBL = ZBLSettings((0.1818, 0.5099, 0.2802, 0.02817), 0.3, 0.4543, 6, (1, 8), (0.31, 0.66))


def test_the_bessel_basis_vanishes_at_the_cutoff_and_is_finite_near_zero():
    cutoff = 5.0
    frequencies = tuple(np.pi / cutoff * np.arange(1, 9))
    values = mace_bessel_basis(np.array([1e-6, cutoff]), frequencies, (2.0 / cutoff) ** 0.5)
    np.testing.assert_allclose(values[1], 0.0, atol=1e-15)
    np.testing.assert_allclose(values[0], (2.0 / cutoff) ** 0.5 * np.array(frequencies), rtol=1e-9)


def test_the_agnesi_transform_falls_from_one_to_zero():
    settings = AgnesiSettings(1.0805, 0.9183, 4.5791, (0.31, 0.66))
    r = np.geomspace(0.05, 1e4, 200)
    values = np.asarray(agnesi_transform(r, np.full_like(r, 0.7), settings))
    assert (np.diff(values) < 0).all()
    assert values[0] == pytest.approx(1.0, abs=1e-3)
    assert values[-1] == pytest.approx(0.0, abs=1e-3)
    touching = agnesi_transform(np.array([0.7]), np.array([0.7]), settings)
    assert touching[0] == pytest.approx(1.0 / (1.0 + 1.0805 / 2.0))


def pair(r, z_i=1.0, z_j=8.0, reach=0.97):
    r = np.atleast_1d(np.asarray(r, dtype=np.float64))
    full = [np.full_like(r, x) for x in (z_i, z_j, reach)]
    return np.asarray(zbl_energy(r, (full[0], full[1]), full[2], ZBL))


def test_two_directed_edges_of_zbl_make_the_bare_coulomb_repulsion_at_contact():
    r = 1e-5
    # the screening at zero is the sum of the coefficients, 1.00007
    assert 2.0 * pair(r)[0] == pytest.approx(14.3996 * 8.0 / r * sum(ZBL.coefficients), rel=1e-3)


def test_zbl_ends_smoothly_where_the_atoms_touch():
    assert pair(0.97)[0] == 0.0
    assert pair(2.0)[0] == 0.0
    slope = jax.grad(lambda r: zbl_energy(r[None], (np.ones(1), np.full(1, 8.0)), np.full(1, 0.97), ZBL)[0])
    assert abs(slope(np.float64(0.97 - 1e-5))) < 1e-5
    assert slope(np.float64(0.5)) < 0.0


def test_zbl_is_symmetric_in_the_two_atoms():
    assert pair(0.4, 1.0, 8.0) == pytest.approx(pair(0.4, 8.0, 1.0), rel=1e-14)


@pytest.mark.parametrize(
    ("gain", "f"), [(SILU_GAIN, lambda z: z / (1 + np.exp(-z))), (SIGMOID_GAIN, lambda z: 1 / (1 + np.exp(-z)))]
)
def test_gains_are_near_the_inverse_second_moment(gain, f):
    nodes, weights = np.polynomial.hermite_e.hermegauss(100)
    second = (weights * f(nodes) ** 2).sum() / weights.sum()
    assert gain == pytest.approx(second**-0.5, rel=2e-3)
    assert gain != pytest.approx(second**-0.5, rel=1e-6), "trained weights go with the estimate, not with the integral"


def test_the_normalised_perceptron_maps_zero_to_zero_and_the_other_does_not():
    x = np.zeros((1, 4))
    for network, vanishes in ((NormalizedMLP((8, 3)), True), (LayerNormMLP((8, 3)), False)):
        params = network.init(jax.random.key(0), x)
        params = jax.tree.map(lambda leaf: leaf + 0.1, params)
        assert bool((network.apply(params, x) == 0.0).all()) is vanishes


def test_layer_norm_has_mean_zero_and_variance_one():
    network = LayerNormMLP((16, 16))
    x = np.random.default_rng(0).normal(size=(5, 4))
    params = network.init(jax.random.key(1), x)
    identity = {**params["params"], "w1": np.eye(16), "b1": np.zeros(16)}
    y = np.asarray(network.apply({"params": identity}, x))
    before = x @ np.asarray(identity["w0"]) + np.asarray(identity["b0"])
    normal = (before - before.mean(1, keepdims=True)) / np.sqrt(before.var(1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(y, normal / (1 + np.exp(-normal)), atol=1e-6)
