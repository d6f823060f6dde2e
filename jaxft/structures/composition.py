"""What a liquid is made of: a composition such as {CoCl2: 1, LiCl: 2, H2O: 15} as rigid bodies with geometries.

Molecules come from ASE's collection (G2 geometries); metal halides come apart into single ions. It places nothing in a
box (that is ``pack.py``) and decides no charge or multiplicity: those belong to the reference's settings.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from ase.build import molecule
from ase.build.molecule import extra
from ase.collections import g2
from ase.data import atomic_masses, atomic_numbers
from ase.formula import Formula
from jaxtyping import Float, Int

from jaxft.errors import InputError, nearest
from jaxft.structures.contacts import NONMETALS
from jaxft.units import GRAM_PER_CM3

HALOGENS = frozenset({"F", "Cl", "Br", "I"})


class Body(NamedTuple):
    """A rigid molecule or single ion: atomic numbers, and positions (Å) about the mean position of its atoms."""

    numbers: Int[np.ndarray, "atoms"]
    positions: Float[np.ndarray, "atoms 3"]


def parse_composition(composition: Mapping[str, int]) -> tuple[Body, ...]:
    """The bodies of a composition, in its order: one per molecule, one per ion of a salt, one per lone atom.

    composition: formula -> how many formula units. A formula is (in this order of trial) an element ("Ar", "Na"), a
    metal halide ("CoCl2": a Co and two Cl, unit by unit), or a name that ``ase.build.molecule`` knows ("H2O", "CH3OH").
    Bonds are never guessed: anything else raises InputError that asks for ``structure: start.xyz``.
    """
    if not isinstance(composition, Mapping) or not composition:
        raise InputError(f"composition is {composition!r}; expected formulas and counts such as {{LiCl: 2, H2O: 15}}")
    bodies: list[Body] = []
    for formula, count in composition.items():
        if not isinstance(formula, str):
            raise InputError(f"composition has the formula {formula!r}; expected text: put it in quotes ('NO', not NO)")
        if isinstance(count, bool) or not isinstance(count, int | np.integer) or count < 1:
            raise InputError(f"composition asks for {count!r} of {formula}; expected a whole number of at least 1")
        bodies.extend(_formula_unit(formula) * int(count))
    return tuple(bodies)


def total_mass(composition: Mapping[str, int]) -> float:
    """Mass of all atoms in u (standard atomic weights, from ASE)."""
    return float(sum(atomic_masses[body.numbers].sum() for body in parse_composition(composition)))


def box_edge(composition: Mapping[str, int], density_g_cm3: float) -> float:
    """Edge in Å of the cube that gives the composition this density: L = (m / ρ)^(1/3)."""
    if not np.isfinite(density_g_cm3) or density_g_cm3 <= 0:
        raise InputError(f"density_g_cm3 is {density_g_cm3}; expected a positive number such as 1.0 (water)")
    return float((total_mass(composition) / (density_g_cm3 * GRAM_PER_CM3)) ** (1.0 / 3.0))


def _formula_unit(formula: str) -> list[Body]:
    if formula in atomic_numbers and atomic_numbers[formula] > 0:
        return [_ion(formula)]
    counts = _element_counts(formula)
    elements = set(counts)
    if elements & HALOGENS and elements - HALOGENS and not (elements - HALOGENS) & NONMETALS:
        return [_ion(symbol) for symbol, n in counts.items() for _ in range(n)]
    if formula in g2.names or formula in extra:
        atoms = molecule(formula)
        return [Body(atoms.numbers.copy(), atoms.positions - atoms.positions.mean(axis=0))]
    raise InputError(
        f"composition has {formula!r}, of which jaxft knows no geometry (it knows elements, metal halides and the "
        f"molecules of ase.build.molecule{_suggestion(formula, counts)}); give structure: start.xyz instead"
    )


def _ion(symbol: str) -> Body:
    return Body(np.array([atomic_numbers[symbol]]), np.zeros((1, 3)))


def _element_counts(formula: str) -> dict[str, int]:
    """Elements of a chemical formula in its order; empty where it is a name ("isobutene") and not a formula."""
    try:
        counts = Formula(formula).count()
    except ValueError:
        return {}
    return counts if all(symbol in atomic_numbers for symbol in counts) else {}


def _suggestion(formula: str, counts: dict[str, int]) -> str:
    """Names with the same atoms (H2S is ASE's SH2), else the nearest spelling."""
    same = [name for name in (*g2.names, *extra) if counts and _element_counts(name) == counts]
    if same:
        return f"; with these atoms: {', '.join(repr(name) for name in same)}"
    return nearest(formula, [*g2.names, *extra])
