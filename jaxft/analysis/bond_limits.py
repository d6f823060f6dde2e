"""How near two atoms must be to count as bonded, by pair of elements: two limits in Å, with a gap between them.

Bonds between nonmetals are covalent; between a metal and a nonmetal they are coordination. Limits are shares of the sum of
tabulated radii that lie in the empty part of the pair distributions of liquids; a user may set any pair by hand.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from ase.data import atomic_numbers, chemical_symbols, covalent_radii
from jaxtyping import Float, Int

from jaxft.errors import InputError, nearest
from jaxft.structures.contacts import NONMETALS

COVALENT = "covalent"
COORDINATION = "coordination"

DIHYDROGEN = {"H-H": (0.95, 1.25)}
"""Å. H2 is 0.74 long, more than the radii say (0.31 each are made for X-H); in water H and H are 1.27 apart and more."""


@dataclass(frozen=True)
class BondSettings:
    """When a pair becomes bonded and when it ceases to be.

    covalent        between nonmetals: formed below, broken above, times the sum of covalent radii (C-C 1.82 and 2.28 Å)
    hydrogen        between hydrogen and a nonmetal, likewise. Formed late, because hydrogen bonds come near: H-Cl 1.46 and
                    2.00, O-H 1.07 and 1.46 Å
    coordination    between a metal and a nonmetal, likewise: Co-O 2.30 and 2.88, Co-Cl 2.74 and 3.42, Li-O 2.33 and 2.91,
                    Li-Cl 2.76 and 3.45 Å; first minima of g(r) in a cobalt chloride solution are 2.9, 3.1, 2.7 and 3.0 Å
    distances       Å, formed and broken, for pairs of elements by name ("Co-O"), in place of the above; None: not followed
    persistence_fs  how long a new state must last
    max_spacing_fs  frames further apart than this show no event

    Metal-metal and metal-hydrogen pairs are followed only where ``distances`` names them: metals have no bond that a
    distance could tell, and water turns its hydrogen away from cations, to where a hydride would begin.
    Radii: B. Cordero et al., Dalton Trans. (2008) 2832, as tabulated by ASE. The shares are ours.
    """

    covalent: tuple[float, float] = (1.2, 1.5)
    hydrogen: tuple[float, float] = (1.1, 1.5)
    coordination: tuple[float, float] = (1.2, 1.5)
    distances: Mapping[str, tuple[float, float] | None] = field(default_factory=dict)
    persistence_fs: float = 50.0
    max_spacing_fs: float = 10.0

    def __post_init__(self) -> None:
        given: dict[str, tuple[float, float] | None] = {
            "covalent": self.covalent,
            "hydrogen": self.hydrogen,
            "coordination": self.coordination,
            **{f"distances of {name}": limits for name, limits in self.distances.items()},
        }
        for name, limits in given.items():
            if limits is not None and not (len(limits) == 2 and 0.0 < limits[0] <= limits[1]):
                raise InputError(f"{name}: got {limits}, expected two positive numbers, formed below ≤ broken above")
        for name in self.distances:
            _elements(name)
        if self.persistence_fs < 0.0 or not self.max_spacing_fs > 0.0:
            raise InputError(
                f"persistence_fs is {self.persistence_fs} and max_spacing_fs {self.max_spacing_fs}; "
                "expected 0 or more, and more than 0"
            )


@dataclass(frozen=True)
class PairLimits:
    """Limits of a pair of elements, the one with the lower atomic number first. form, broken: Å."""

    elements: tuple[str, str]
    kind: str
    form: float
    broken: float

    @property
    def middle(self) -> float:
        """Halfway between both, in Å: one limit where only one can be used."""
        return 0.5 * (self.form + self.broken)


def find_limits(numbers: Int[np.ndarray, "atoms"], settings: BondSettings) -> tuple[PairLimits, ...]:
    """Limits of all pairs of elements that are followed among these atoms."""
    named: dict[tuple[int, int], tuple[float, float] | None] = {
        _elements(name): limits for name, limits in {**DIHYDROGEN, **settings.distances}.items()
    }
    present = np.unique(numbers).tolist()
    found = []
    for a in present:
        for b in present:
            limits = named[a, b] if (a, b) in named else _default(a, b, settings)
            if a <= b and limits is not None:
                pair = (chemical_symbols[a], chemical_symbols[b])
                kind = COORDINATION if _n_metals(a, b) == 1 else COVALENT
                found.append(PairLimits(pair, kind, float(limits[0]), float(limits[1])))
    return tuple(found)


def limit_matrix(
    numbers: Int[np.ndarray, "atoms"], limits: tuple[PairLimits, ...], which: str
) -> Float[np.ndarray, "elements elements"]:
    """``form`` or ``broken`` (Å) as a symmetric matrix in the order of ``np.unique(numbers)``; 0 where not followed."""
    order = {chemical_symbols[z]: k for k, z in enumerate(np.unique(numbers).tolist())}
    matrix = np.zeros((len(order), len(order)))
    for pair in limits:
        a, b = (order[symbol] for symbol in pair.elements)
        matrix[a, b] = matrix[b, a] = getattr(pair, which)
    return matrix


def why_not_followed(frame_fs: float, settings: BondSettings) -> str | None:
    """Why frames so far apart show no event; None where they do."""
    if frame_fs <= settings.max_spacing_fs * (1.0 + 1e-9):
        return None
    return f"not looked for: frames are {frame_fs:g} fs apart, expected at most {settings.max_spacing_fs:g}"


def frames_to_last(frame_fs: float, settings: BondSettings) -> int:
    """How many frames after its first a new state must still be there."""
    return int(np.ceil(settings.persistence_fs / frame_fs - 1e-9))


def _default(a: int, b: int, settings: BondSettings) -> tuple[float, float] | None:
    metals, hydrogen = _n_metals(a, b), atomic_numbers["H"] in (a, b)
    if metals == 2 or (metals and hydrogen):
        return None
    shares = settings.coordination if metals else settings.hydrogen if hydrogen else settings.covalent
    radii = float(covalent_radii[a] + covalent_radii[b])
    return shares[0] * radii, shares[1] * radii


def _n_metals(a: int, b: int) -> int:
    return sum(chemical_symbols[z] not in NONMETALS for z in (a, b))


def _elements(name: str) -> tuple[int, int]:
    """Atomic numbers of a pair by name, the lower first."""
    symbols = name.split("-")
    if len(symbols) != 2:
        raise InputError(f'distances names the pair {name!r}, expected two elements joined by a dash, like "Co-O"')
    for symbol in symbols:
        if symbol not in atomic_numbers:
            raise InputError(
                f"distances of {name}: no element is called {symbol!r}{nearest(symbol, chemical_symbols[1:])}"
            )
    a, b = sorted(atomic_numbers[symbol] for symbol in symbols)
    return a, b
