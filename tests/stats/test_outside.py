"""Shares of one set that lie where another has none."""

import numpy as np
import pytest

from jaxft.stats.outside import nearest_distance, radius_between, share_outside_cells


def test_nearest_distance_is_the_smallest_of_all():
    random = np.random.default_rng(0)
    a, b = random.normal(size=(50, 4)), random.normal(size=(70, 4))
    expected = np.sqrt(((a[:, None] - b[None]) ** 2).sum(axis=-1)).min(axis=1)
    np.testing.assert_allclose(nearest_distance(a, b), expected, rtol=1e-6)
    assert np.isinf(nearest_distance(a, np.zeros((0, 4)))).all()
    assert len(nearest_distance(np.zeros((0, 4)), b)) == 0


def test_the_radius_holds_its_share_of_each_half():
    random = np.random.default_rng(1)
    a, b = random.normal(size=(500, 3)), random.normal(size=(500, 3))
    radius = radius_between(a, b, 0.95)
    beyond = np.concatenate([nearest_distance(a, b), nearest_distance(b, a)]) > radius
    assert beyond.mean() == pytest.approx(0.05, abs=2e-3)


def test_cells_that_are_empty_and_points_off_the_grid_are_outside():
    edges = (np.linspace(0, 4, 5), np.linspace(0, 2, 3))
    among = np.array([[0.5, 0.5], [3.5, 1.5]])
    points = np.array([[0.9, 0.1], [3.1, 1.9], [1.5, 0.5], [-1.0, 0.5], [9.0, 9.0]])
    assert share_outside_cells(points, among, edges) == pytest.approx(3 / 5)
    assert share_outside_cells(among, among, edges) == 0.0
