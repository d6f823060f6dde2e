"""Minimum distances between molecules are sane: symmetric, positive, and inside the first peaks of known liquids."""

import numpy as np
import pytest
from ase.data import atomic_numbers

from jaxft.structures.contacts import minimum_distances


def test_symmetric_and_finite_for_all_elements_to_polonium():
    matrix = minimum_distances(range(1, 84))
    assert np.isfinite(matrix).all()
    assert (matrix > 0.5).all()
    np.testing.assert_array_equal(matrix, matrix.T)


@pytest.mark.parametrize(
    ("pair", "first_peak"),
    # positions of the first peak of neutron and X-ray pair distributions of aqueous solutions, Å
    [("OO", 2.8), ("OH", 1.85), ("HH", 2.35), (("Li", "O"), 1.97), (("Co", "O"), 2.09), (("Cl", "H"), 2.25)],
)
def test_contacts_lie_inside_the_first_peak_but_near_it(pair, first_peak):
    a, b = (atomic_numbers[symbol] for symbol in pair)
    distance = minimum_distances([a, b])[0, 1]
    assert 0.7 * first_peak < distance < first_peak
