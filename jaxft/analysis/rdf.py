"""How atoms are arranged around each other: partial radial distribution functions with error bands, and running coordination.

Up to half the shortest height of the box, where each pair has one image and no correction is needed. The bands come from
blocks of the runs, and from the spread between runs where there are several (``block_error.py``).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
from ase.data import atomic_numbers, chemical_symbols
from jaxtyping import Float, Int

from jaxft.analysis.block_error import BLOCKS, block_edges, block_mean
from jaxft.analysis.estimate import TOO_SHORT_WORDS
from jaxft.analysis.frames import Frames
from jaxft.analysis.pair_distances import nearest_image
from jaxft.errors import InputError

VECTORS = 200_000
"""Pair vectors that are held at once: about 5 MB."""

Elements = tuple[str, str]


@dataclass(frozen=True)
class PairRdf:
    """One pair of elements a, b; one value per bin.

    g                g_ab(r) = ⟨V n_ab(r)⟩ / (N_a N_b v(r)), n_ab the pairs in a bin and v the volume of its shell; for a = b
                     there are N_a (N_a - 1) pairs, so that an ideal gas has g = 1 (ASE divides by N_a²)
    g_error          standard error; None where there are too few frames for one
    neighbors        mean number of b around one a within the outer edge of the bin
    neighbors_error  likewise
    """

    elements: Elements
    g: tuple[float, ...]
    g_error: tuple[float, ...] | None
    neighbors: tuple[float, ...]
    neighbors_error: tuple[float, ...] | None


@dataclass(frozen=True)
class Rdf:
    """Radial distribution functions of some runs.

    edges      Å, of the bins: one more than bins
    pairs      one for each pair of elements
    n_frames   in all runs together
    block_fs   length of the shortest block; a band means something where it is longer than the memory of the structure
    why        why there are no error bands; None where there are
    """

    edges: tuple[float, ...]
    pairs: tuple[PairRdf, ...]
    n_frames: int
    block_fs: float | None
    why: str | None

    @property
    def r(self) -> tuple[float, ...]:
        """Middles of the bins in Å."""
        return tuple(0.5 * (a + b) for a, b in zip(self.edges[:-1], self.edges[1:], strict=True))

    def pair(self, a: str, b: str) -> PairRdf:
        """Neighbors b around a. Raises InputError where it was not computed; (b, a) counts other neighbors."""
        found = next((pair for pair in self.pairs if pair.elements == (a, b)), None)
        if found is None:
            names = ", ".join("-".join(pair.elements) for pair in self.pairs)
            raise InputError(f"there is no g(r) of {a}-{b}; expected one of {names}")
        return found


def radial_distribution(
    runs: Sequence[Frames],
    pairs: Sequence[Elements] | None = None,
    *,
    bin_width: float = 0.05,
    r_max: float | None = None,
) -> Rdf:
    """g(r) of pairs of elements over runs of the same atoms (several seeds, say).

    pairs: (a, b) for b around a; by default all there are, in alphabetical order. bin_width: Å, made smaller where it does
    not divide r_max. r_max: Å, by default half the shortest height of all boxes.
    Raises InputError for a box that is not periodic, an r_max beyond half of it, elements that are not there, no frames,
    and runs of different atoms.
    """
    numbers = _numbers(runs)
    half = 0.5 * min(frames.shortest_height() for frames in runs)
    if r_max is not None and not 0.0 < r_max <= half * (1.0 + 1e-9):
        raise InputError(f"r_max is {r_max:g} Å, but g(r) is known up to half the shortest height, {half:.3f} Å")
    if not bin_width > 0.0:
        raise InputError(f"bin_width is {bin_width} Å, expected more than 0")
    reach = half if r_max is None else r_max
    edges = np.linspace(0.0, reach, int(np.ceil(reach / bin_width - 1e-9)) + 1)
    wanted = _wanted(numbers, pairs)
    counted = [_count(frames, wanted, edges) for frames in runs]
    lengths = [len(frames) for frames in runs]
    found = []
    for k, elements in enumerate(wanted):
        g, g_error = block_mean([dense[:, k] for dense, _ in counted], lengths)
        neighbors, neighbors_error = block_mean([cumulated[:, k] for _, cumulated in counted], lengths)
        found.append(PairRdf(elements, _plain(g), _known(g_error), _plain(neighbors), _known(neighbors_error)))
    enough = min(lengths) >= BLOCKS
    return Rdf(
        edges=_plain(edges),
        pairs=tuple(found),
        n_frames=sum(lengths),
        block_fs=min(len(f) * f.frame_fs for f in runs) / BLOCKS if enough else None,
        why=None if enough else f"{TOO_SHORT_WORDS}: {min(lengths)} frames, expected at least {BLOCKS}",
    )


def _count(
    frames: Frames, wanted: Sequence[Elements], edges: Float[np.ndarray, "edges"]
) -> tuple[Float[np.ndarray, "blocks pairs bins"], Float[np.ndarray, "blocks pairs bins"]]:
    """Of each block: g of each pair, and neighbors within the outer edge of each bin."""
    symbols = np.array(frames.symbols)
    atoms = [_atom_pairs(symbols, elements) for elements in wanted]
    first = np.concatenate([i for i, _ in atoms])
    second = np.concatenate([j for _, j in atoms])
    n_bins, sizes = len(edges) - 1, np.array([len(i) for i, _ in atoms])
    places = np.repeat(np.arange(len(wanted)) * n_bins, sizes)
    blocks = block_edges(len(frames))
    pairs = np.zeros((len(blocks) - 1, len(wanted), n_bins))  # per frame
    times_volume = np.zeros_like(pairs)
    of_frame = np.searchsorted(blocks, np.arange(len(frames)), side="right") - 1
    for chunk in frames.chunks(max(1, min(64, VECTORS // max(1, len(first))))):
        at_once = of_frame[chunk.start - frames.start + np.arange(len(chunk.positions))]
        vectors = nearest_image(chunk.positions[:, second] - chunk.positions[:, first], chunk.cells, frames.pbc)
        bins = (np.sqrt(np.einsum("fpx,fpx->fp", vectors, vectors)) * (n_bins / edges[-1])).astype(np.int64)
        inside = bins < n_bins
        volumes = np.abs(np.linalg.det(chunk.cells))
        for block in np.unique(at_once).tolist():
            rows = at_once == block
            histograms = np.array(
                [
                    np.bincount((b + places)[keep], minlength=pairs[block].size)
                    for b, keep in zip(bins[rows], inside[rows], strict=True)
                ]
            )
            n = blocks[block + 1] - blocks[block]
            pairs[block] += histograms.sum(axis=0).reshape(len(wanted), n_bins) / n
            times_volume[block] += (volumes[rows] @ histograms).reshape(len(wanted), n_bins) / n
    shells = 4.0 / 3.0 * np.pi * np.diff(edges**3)
    centers = np.array([(symbols == a).sum() for a, _ in wanted])
    # a pair of one element is listed once, and each of its atoms is a neighbor of the other
    twice = np.array([2.0 if a == b else 1.0 for a, b in wanted])
    return times_volume / (sizes[:, None] * shells), np.cumsum(pairs, axis=-1) * (twice / centers)[:, None]


def _atom_pairs(symbols: np.ndarray, elements: Elements) -> tuple[Int[np.ndarray, "pairs"], Int[np.ndarray, "pairs"]]:
    """Atoms of all pairs of two elements, each pair once."""
    a, b = (np.flatnonzero(symbols == element) for element in elements)
    if elements[0] == elements[1]:
        rows, columns = np.triu_indices(len(a), k=1)
        return a[rows], a[columns]
    return np.repeat(a, len(b)), np.tile(b, len(a))


def _numbers(runs: Sequence[Frames]) -> Int[np.ndarray, "atoms"]:
    if not runs or not all(len(frames) for frames in runs):
        raise InputError("g(r) needs runs with at least one frame each; leave empty ones out")
    for k, frames in enumerate(runs):
        if not np.array_equal(frames.numbers, runs[0].numbers):
            raise InputError(f"run {k} has other atoms than run 0; average g(r) over runs of the same box only")
    return np.asarray(runs[0].numbers)


def _wanted(numbers: Int[np.ndarray, "atoms"], pairs: Sequence[Elements] | None) -> list[Elements]:
    counts = {chemical_symbols[z]: int(n) for z, n in zip(*np.unique(numbers, return_counts=True), strict=True)}
    if pairs is None:
        every = combinations_with_replacement(sorted(counts), 2)
        return [(a, b) for a, b in every if a != b or counts[a] > 1]
    for a, b in pairs:
        for element in (a, b):
            if element not in counts:
                known = "" if element in atomic_numbers else " (no element is called that)"
                raise InputError(
                    f"g(r) of {a}-{b} was asked for, but there is no {element}{known}; these atoms are {', '.join(counts)}"
                )
        if a == b and counts[a] < 2:
            raise InputError(f"g(r) of {a}-{b} was asked for, but there is one {a} only")
    return list(pairs)


def _plain(values: Float[np.ndarray, "bins"]) -> tuple[float, ...]:
    return tuple(values.tolist())


def _known(values: Float[np.ndarray, "bins"] | None) -> tuple[float, ...] | None:
    return None if values is None else _plain(values)
