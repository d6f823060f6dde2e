"""One bond, its length everywhere: how O-H (say) is distributed in each dataset, and how long it is at each atom of a map.

The bond of an atom is the one to its nearest partner: of each hydrogen to its nearest oxygen, bonded or not. A lost proton
shows as a long bond.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, chemical_symbols
from jaxtyping import Bool, Float, Int

from jaxft.analysis.frames import Frames, inverses
from jaxft.analysis.pair_distances import nearest_image
from jaxft.errors import InputError, nearest
from jaxft.structures.cell import check_cell
from jaxft.structures.neighbors import find_edges

BINS = 100
"""Of a histogram, by default."""

VECTORS = 200_000
"""Vectors between pairs that are held at once: about 5 MB."""


@dataclass(frozen=True)
class BondLengths:
    """Lengths of one bond in one dataset.

    name      of the dataset
    of, to    elements: of each ``of`` to its nearest ``to``
    n         how many lengths
    mean, sd  Å; None where there are none
    shortest, longest  Å; likewise
    edges     Å, of the bins
    density   per Å, its integral is the share of lengths inside the edges
    beyond    share of lengths above the last edge
    why       why there is nothing; None where there is
    """

    name: str
    of: str
    to: str
    n: int
    mean: float | None
    sd: float | None
    shortest: float | None
    longest: float | None
    edges: tuple[float, ...]
    density: tuple[float, ...]
    beyond: float
    why: str | None


def bond_lengths(
    name: str,
    structures: Iterable[Atoms] | Frames,
    of: str,
    to: str,
    *,
    shortest: float,
    longest: float,
    bins: int = BINS,
) -> BondLengths:
    """Distribution of a bond over a dataset, in ``bins`` between ``shortest`` and ``longest`` (Å), read one by one.

    A dataset in which one of both elements is missing has no lengths, and says so.
    """
    if not 0.0 <= shortest < longest or bins < 1:
        raise InputError(
            f"got bins {bins} from {shortest} to {longest} Å, expected at least 1 between 0 ≤ shortest < longest"
        )
    edges = np.linspace(shortest, longest, bins + 1)
    counts = np.zeros(bins)
    n, mean, squares, low, high, beyond = 0, 0.0, 0.0, np.inf, -np.inf, 0
    for lengths in _lengths(structures, of, to):
        if not len(lengths):
            continue
        # running mean and squares about it (Chan, Golub & LeVeque), so that nothing is kept
        more, own = len(lengths), float(lengths.mean())
        squares += float(np.square(lengths - own).sum()) + (own - mean) ** 2 * n * more / (n + more)
        mean, n = mean + (own - mean) * more / (n + more), n + more
        counts += np.histogram(lengths, edges)[0]
        low, high = min(low, float(lengths.min())), max(high, float(lengths.max()))
        beyond += int((lengths > longest).sum())
    there = n > 0
    return BondLengths(
        name=name,
        of=of,
        to=to,
        n=n,
        mean=mean if there else None,
        sd=float(np.sqrt(squares / (n - 1))) if n > 1 else None,
        shortest=low if there else None,
        longest=high if there else None,
        edges=tuple(edges.tolist()),
        density=tuple((counts / (max(n, 1) * np.diff(edges))).tolist()),
        beyond=beyond / n if there else 0.0,
        why=None if there else f"{name} has no {of} with a {to}",
    )


def length_per_atom(atoms: Atoms, of: str, to: str) -> Float[np.ndarray, "atoms"]:
    """Distance of each ``of`` to the nearest other atom ``to`` in Å; NaN for all others, and where there is no ``to``."""
    first, second = _both(atoms.numbers, of, to)
    pbc = np.asarray(atoms.pbc, dtype=bool)
    check_cell(np.asarray(atoms.cell), pbc)
    values = np.full(len(atoms), np.nan)
    if len(first) and len(second):
        lengths = _nearest(atoms.positions[None], np.asarray(atoms.cell)[None], pbc, first, second)[0]
        values[first] = np.where(np.isfinite(lengths), lengths, np.nan)
    return values


def _lengths(structures: Iterable[Atoms] | Frames, of: str, to: str) -> Iterator[Float[np.ndarray, "lengths"]]:
    if isinstance(structures, Frames):
        first, second = _both(structures.numbers, of, to)
        pbc = np.asarray(structures.pbc, dtype=bool)
        if len(first) and len(second):
            for chunk in structures.chunks(max(1, min(64, VECTORS // (len(first) * len(second))))):
                lengths = _nearest(chunk.positions, chunk.cells, pbc, first, second).ravel()
                yield lengths[np.isfinite(lengths)]
        return
    for atoms in structures:
        values = length_per_atom(atoms, of, to)
        yield values[np.isfinite(values)]


def _nearest(
    positions: Float[np.ndarray, "frames atoms 3"],
    cells: Float[np.ndarray, "frames 3 3"],
    pbc: Bool[np.ndarray, "3"],
    first: Int[np.ndarray, "first"],
    second: Int[np.ndarray, "second"],
) -> Float[np.ndarray, "frames first"]:
    """Distance of each first atom to the nearest other one of the second; infinite where there is none.

    A distance below half the shortest height of the cell needs one image only; others are searched among all images.
    """
    i, j = np.repeat(first, len(second)), np.tile(second, len(first))
    vectors = nearest_image(positions[:, j] - positions[:, i], cells, pbc)
    distances = np.where(i == j, np.inf, np.linalg.norm(vectors, axis=-1))
    shortest = distances.reshape(len(positions), len(first), len(second)).min(axis=2)
    if pbc.any():
        half = 0.5 / np.linalg.norm(inverses(cells, pbc), axis=1)[:, pbc].max(axis=-1)
        for frame in np.flatnonzero((np.isfinite(shortest) & (shortest > half[:, None])).any(axis=1)).tolist():
            shortest[frame] = _search(positions[frame], cells[frame], pbc, first, second, shortest[frame])
    return shortest


def _search(
    positions: Float[np.ndarray, "atoms 3"],
    cell: Float[np.ndarray, "3 3"],
    pbc: Bool[np.ndarray, "3"],
    first: Int[np.ndarray, "first"],
    second: Int[np.ndarray, "second"],
    bounds: Float[np.ndarray, "first"],
) -> Float[np.ndarray, "first"]:
    """The same in one frame, all images considered, where it is at most ``bounds``."""
    edges = find_edges(positions, cell, pbc, float(bounds[np.isfinite(bounds)].max()) + 1e-9)
    wanted = np.isin(edges.receivers, first) & np.isin(edges.senders, second) & (edges.receivers != edges.senders)
    i, j, n = edges.receivers[wanted], edges.senders[wanted], edges.shifts[wanted]
    found = np.full(len(positions), np.inf)
    np.minimum.at(found, i, np.linalg.norm(positions[j] + n @ cell - positions[i], axis=1))
    return np.minimum(bounds, found[first])


def _both(numbers: Int[np.ndarray, "atoms"], of: str, to: str) -> tuple[Int[np.ndarray, "of"], Int[np.ndarray, "to"]]:
    """Indices of the atoms of both elements."""
    for element in (of, to):
        if element not in atomic_numbers:
            raise InputError(
                f"no element is called {element!r}{nearest(element, chemical_symbols[1:])}; a bond needs two"
            )
    return np.flatnonzero(numbers == atomic_numbers[of]), np.flatnonzero(numbers == atomic_numbers[to])
