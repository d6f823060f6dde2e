"""How many unpaired electrons a structure is computed with."""

import pytest

from jaxft.labels.electrons import unpaired_electrons
from jaxft.labels.engine import NoLabelError


@pytest.mark.parametrize(
    ("n_electrons", "multiplicity", "unpaired"),
    [(10, 1, 0), (10, 3, 2), (9, 2, 1), (9, 4, 3), (10, None, 0), (9, None, 1)],
)
def test_unpaired_electrons(n_electrons, multiplicity, unpaired):
    assert unpaired_electrons([8, 1, 1], n_electrons, multiplicity) == unpaired


@pytest.mark.parametrize(("n_electrons", "multiplicity"), [(10, 2), (9, 1), (9, 3), (1, 4), (10, 0), (9, -1)])
def test_a_multiplicity_that_the_electrons_exclude_is_no_label(n_electrons, multiplicity):
    with pytest.raises(NoLabelError, match=f"multiplicity {multiplicity} .* {n_electrons} electrons"):
        unpaired_electrons([1], n_electrons, multiplicity)


def test_the_spin_of_cobalt_is_not_guessed():
    with pytest.raises(NoLabelError, match=r"Co.*multiplicity"):
        unpaired_electrons([27, 17, 17], 61, None)


def test_zinc_has_a_closed_shell():
    assert unpaired_electrons([30], 28, None) == 0
