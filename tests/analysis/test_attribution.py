"""Who causes a high Q: the gradient is right, and names the neighbor that was moved."""

import numpy as np
import pytest
from water_boxes import water_box

from jaxft.analysis.attribution import causes
from jaxft.analysis.environments import environments
from jaxft.analysis.q_model import fit_q_model
from jaxft.potential.descriptor_gradient import quadratic_gradient


@pytest.fixture(scope="module")
def subspace(tiny):
    random = np.random.default_rng(0)
    frames = []
    for _ in range(12):
        atoms = water_box()
        atoms.positions += 0.05 * random.normal(size=atoms.positions.shape)
        frames.append(atoms)
    return fit_q_model(environments(tiny, frames, dtype="float64")).elements[8]


def test_the_gradient_is_that_of_finite_differences(tiny, water):
    random = np.random.default_rng(1)
    center, axes = random.normal(size=4), random.normal(size=(4, 2))

    def f(atoms):
        return float((((tiny.descriptors(atoms, dtype="float64")[3] - center) @ axes) ** 2).sum())

    value, gradient = quadratic_gradient(tiny, water, 3, center, axes, dtype="float64")
    assert value == pytest.approx(f(water), rel=1e-12)
    for k, axis in ((3, 0), (4, 1), (7, 2)):
        shifted = [water.copy(), water.copy()]
        for sign, atoms in zip((1, -1), shifted, strict=True):
            atoms.positions[k, axis] += sign * 1e-5
        assert gradient[k, axis] == pytest.approx((f(shifted[0]) - f(shifted[1])) / 2e-5, rel=1e-5, abs=1e-9)
    np.testing.assert_allclose(gradient.sum(axis=0), 0.0, atol=1e-9)


def test_the_neighbor_that_was_moved_is_named(tiny, water, subspace):
    oxygen, hydrogen = 0, 1
    vector = water.positions[hydrogen] - water.positions[oxygen]
    water.positions[hydrogen] = water.positions[oxygen] + 0.75 * vector
    found = causes(tiny, subspace, water, oxygen)
    assert found[0].atom == hydrogen
    assert found[0].distance == pytest.approx(0.75 * np.linalg.norm(vector))
    assert found[0].share > found[1].share
    assert sum(one.share for one in found) <= 1.0 + 1e-12


def test_what_is_out_of_reach_causes_nothing(tiny, water, subspace):
    lone = water[:3]
    lone.pbc = False
    lone.cell = np.zeros((3, 3))
    far = lone + lone.copy()
    far.positions[3:] += 30.0
    assert {one.atom for one in causes(tiny, subspace, far, 0, at_most=6)} <= {1, 2}
