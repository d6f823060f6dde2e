"""Descriptors do not change where physics does not."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from jaxft.errors import InputError


def test_same_descriptors_after_rotation_translation_and_permutation(tiny, water):
    before = tiny.descriptors(water, layers="all", dtype="float64")
    rotation = Rotation.from_euler("xyz", [1.0, 0.4, -2.0]).as_matrix()
    order = np.random.default_rng(0).permutation(len(water))
    changed = water[order]
    changed.positions = changed.positions @ rotation.T + 0.7
    changed.cell = water.cell.array @ rotation.T
    np.testing.assert_allclose(tiny.descriptors(changed, layers="all", dtype="float64"), before[order], atol=1e-10)


def test_all_layers_stand_side_by_side_and_end_with_the_last(tiny, water):
    last, every = tiny.descriptors(water), tiny.descriptors(water, layers="all")
    assert (last.shape, every.shape) == ((12, 4), (12, 8))
    np.testing.assert_array_equal(every[:, 4:], last)


def test_different_environments_have_different_descriptors(tiny, water):
    assert np.ptp(tiny.descriptors(water)[water.numbers == 1], axis=0).max() > 1e-3


def test_an_unknown_choice_of_layers_is_refused(tiny, water):
    with pytest.raises(InputError, match="last"):
        tiny.descriptors(water, layers="first")
