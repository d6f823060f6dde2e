"""A composition becomes molecules and ions, or says why it can't."""

import numpy as np
import pytest
from ase.build import molecule

from jaxft.errors import InputError
from jaxft.structures.composition import box_edge, parse_composition, total_mass

STUDY = {"CoCl2": 1, "LiCl": 2, "H2O": 15}


def test_study_box_has_52_atoms_in_the_order_of_the_composition():
    numbers = np.concatenate([body.numbers for body in parse_composition(STUDY)])
    assert numbers.tolist() == [27, 17, 17, 3, 17, 3, 17] + [8, 1, 1] * 15


def test_salts_come_apart_even_where_ase_knows_the_gas_phase_molecule():
    assert [body.numbers.tolist() for body in parse_composition({"NaCl": 1, "AlCl3": 1})] == [
        [11],
        [17],
        [13],
        [17],
        [17],
        [17],
    ]


def test_covalent_halides_stay_molecules():
    assert [len(body.numbers) for body in parse_composition({"HCl": 1, "CCl4": 1, "SiF4": 1})] == [2, 5, 5]


def test_geometry_is_that_of_ase_about_its_centre():
    (water,) = parse_composition({"H2O": 1})
    expected = molecule("H2O").positions
    np.testing.assert_allclose(water.positions, expected - expected.mean(axis=0), atol=1e-15)


def test_elements_are_single_atoms():
    assert [body.numbers.tolist() for body in parse_composition({"Ar": 2, "Na": 1})] == [[18], [18], [11]]


def test_mass_and_edge_of_water_by_hand():
    assert total_mass({"H2O": 2}) == pytest.approx(2 * (15.999 + 2 * 1.008))
    # 18.015 g/mol at 1 g/cm³ is 29.915 Å³ for each molecule
    assert box_edge({"H2O": 64}, 1.0) == pytest.approx((64 * 29.9151) ** (1 / 3), rel=1e-5)


def test_edge_of_the_study_box():
    assert box_edge(STUDY, 1.3) == pytest.approx(8.52, abs=0.01)


@pytest.mark.parametrize(
    ("composition", "words"),
    [
        ({}, "composition is {}"),
        (["H2O"], "formulas and counts"),
        ({"Na2SO4": 1}, "give structure: start.xyz"),
        ({"H2S": 1}, "'SH2'"),
        ({"C2H5OH": 1}, "'CH3CH2OH'"),
        ({"waterr": 1}, "no geometry"),
        ({"LiCl2H2O": 1}, "no geometry"),
        ({"H2O": 0}, "at least 1"),
        ({"H2O": 1.5}, "whole number"),
        ({"H2O": True}, "whole number"),
        ({False: 1}, "quotes"),
    ],
)
def test_bad_compositions_are_refused_in_words(composition, words):
    with pytest.raises(InputError, match=words) as caught:
        parse_composition(composition)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("density", [0.0, -1.0, float("nan"), float("inf")])
def test_bad_densities_are_refused(density):
    with pytest.raises(InputError, match="density_g_cm3"):
        box_edge(STUDY, density)
