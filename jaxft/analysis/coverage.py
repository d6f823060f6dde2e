"""How much of what a model meets lies outside what it was trained on (the paper's figures 3 and 4; protocol 6 and 7).

One space per study: descriptors of one fixed potential, in one PCA that is fitted once to the two largest training sets with
equal weight, over all elements (the picture) and for each element by itself (the numbers). Everything else is projected. An
atom of A is outside B if no atom of B of its element lies within the radius of that element in the retained space; the radius
is what 95 % of the atoms of one half of the fitted sets need to find one in the other half. Each share stands beside its null:
the same share between two halves of B.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from ase.data import chemical_symbols
from jaxtyping import Int

from jaxft.analysis.environments import Environments
from jaxft.errors import InputError
from jaxft.stats.moments import merge, moments
from jaxft.stats.outside import GRID, nearest_distance, radius_between, share_outside_cells
from jaxft.stats.principal_components import PrincipalComponents, principal_components

WITHIN = 0.95
"""Share of one half's atoms that the radius must reach from the other half."""


@dataclass(frozen=True, eq=False)
class CoverageSpace:
    """The space of a study.

    pooled    PCA over all elements: two axes for the picture
    elements  PCA of each element by atomic number: the retained space in which distances are taken
    radii     by atomic number, in units of standardised descriptors
    edges     of the picture's grid along PC1 and PC2
    """

    pooled: PrincipalComponents
    elements: Mapping[int, PrincipalComponents]
    radii: Mapping[int, float]
    edges: tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Share:
    """Share of the atoms of one set that are outside another.

    element     symbol, or "all"
    share       by nearest neighbor; None where there is no atom to count
    null        the same between halves of the other set; None where it can't be halved
    cells       by the grid of the picture
    cells_null  likewise
    atoms       how many were counted
    """

    of: str
    outside: str
    element: str
    share: float | None
    null: float | None
    cells: float | None
    cells_null: float | None
    atoms: int


def coverage_space(sets: Sequence[Environments], groups: Sequence[Int[np.ndarray, "frames"] | None]) -> CoverageSpace:
    """Fit the space to sets (the two largest training sets), each with the same weight.

    groups: for each set the trajectory of each frame, by which it is halved. Raises InputError where nothing varies.
    """
    elements, radii = {}, {}
    for number in sorted(set().union(*(one.elements for one in sets))):
        mine = [one.of_element(number) for one in sets if number in one.elements]
        if sum(len(one.numbers) for one in mine) < 2:
            continue
        subspace = _fit(mine)
        if subspace is None:
            continue
        halves = [one.halves(group) for one, group in zip(sets, groups, strict=True)]
        first, second = (
            np.concatenate([subspace.scores(pair[side].of_element(number).values) for pair in halves])
            for side in (0, 1)
        )
        if len(first) and len(second):
            elements[number] = subspace
            radii[number] = radius_between(first, second, WITHIN)
    pooled = _fit(sets, at_least=2)
    if pooled is None or not elements:
        raise InputError("the training sets are too small or too alike for a coverage: expected frames that differ")
    scores = np.concatenate([pooled.scores(one.values)[:, :2] for one in sets])
    margin = 0.05 * np.ptp(scores, axis=0)
    low, high = scores.min(axis=0) - margin, scores.max(axis=0) + margin
    edges = (np.linspace(low[0], high[0], GRID + 1), np.linspace(low[1], high[1], GRID + 1))
    return CoverageSpace(pooled, elements, radii, edges)


def _fit(sets: Sequence[Environments], at_least: int = 1) -> PrincipalComponents | None:
    """PCA with the same weight for each set; None where nothing varies."""
    total = reduce(merge, [moments(one.values).weighing(1.0) for one in sets])
    if total.count < 2 or not np.diag(total.scatter).max() > 0.0:
        return None
    found = principal_components(total)
    if found.retained >= at_least or len(found.eigenvalues) < at_least:
        return found
    return principal_components(total, explained=float(np.cumsum(found.explained)[at_least - 1]))


class Outside:
    """Shares outside one set: its projected atoms are kept, so that a long trajectory can be asked about chunk by chunk."""

    def __init__(
        self, space: CoverageSpace, name: str, among: Environments, groups: Int[np.ndarray, "frames"] | None = None
    ) -> None:
        self.space, self.name, self.among, self.groups = space, name, among, groups
        self._scores = _projected(space, among)

    def rows(self, of: Environments) -> tuple[np.ndarray, np.ndarray]:
        """For each atom whether it is outside, and whether its element has a space (others don't count)."""
        return _outside(self.space, of, self._scores)

    def shares(self, of_name: str, of: Environments) -> list[Share]:
        """Over all elements, then for each."""
        outside, counts = self.rows(of)
        nulls = self._nulls()
        found = []
        for name, number in (("all", None), *((_symbol(z), z) for z in sorted(self.space.elements))):
            chosen = counts & ((of.numbers == number) if number is not None else True)
            share = float(outside[chosen].mean()) if chosen.any() else None
            found.append(
                Share(
                    of=of_name,
                    outside=self.name,
                    element=name,
                    share=share,
                    null=nulls.get(name),
                    cells=self._cells(of, self.among) if number is None else None,
                    cells_null=nulls.get("cells") if number is None else None,
                    atoms=int(chosen.sum()),
                )
            )
        return found

    def _nulls(self) -> dict[str, float | None]:
        """The same between halves of the set itself, each outside the other, both ways."""
        first, second = self.among.halves(self.groups)
        if not len(first.numbers) or not len(second.numbers):
            return {}
        both = []
        for one, other in ((first, second), (second, first)):
            outside, counts = _outside(self.space, one, _projected(self.space, other))
            both.append((one.numbers, outside, counts))
        numbers, outside, counts = (np.concatenate(parts) for parts in zip(*both, strict=True))
        found: dict[str, float | None] = {"all": float(outside[counts].mean()) if counts.any() else None}
        for z in self.space.elements:
            chosen = counts & (numbers == z)
            found[_symbol(z)] = float(outside[chosen].mean()) if chosen.any() else None
        pair = [self._cells(one, other) for one, other in ((first, second), (second, first))]
        found["cells"] = float(np.mean(pair))
        return found

    def _cells(self, of: Environments, among: Environments) -> float:
        project = self.space.pooled
        return share_outside_cells(
            project.scores(of.values)[:, :2], project.scores(among.values)[:, :2], self.space.edges
        )


def _projected(space: CoverageSpace, of: Environments) -> dict[int, np.ndarray]:
    return {z: pca.scores(of.of_element(z).values) for z, pca in space.elements.items()}


def _outside(space: CoverageSpace, of: Environments, among: Mapping[int, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    outside, counts = np.zeros(len(of.numbers), dtype=bool), np.zeros(len(of.numbers), dtype=bool)
    for z, pca in space.elements.items():
        chosen = of.numbers == z
        if chosen.any():
            counts |= chosen
            outside[chosen] = nearest_distance(pca.scores(of.values[chosen]), among[z]) > space.radii[z]
    return outside, counts


def _symbol(number: int) -> str:
    return str(chemical_symbols[number])
