"""Distances of the pairs that matter, frame by frame, at a cost that does not grow with all pairs.

A pair is two atoms and the image of the second: (i, j, n) stands for r_j + n·cell - r_i on unwrapped positions, so that a
pair keeps its name while both atoms diffuse, and a box may be smaller than twice any distance of interest. Neighbors are
searched once for several frames; how far atoms moved meanwhile is added to the search radius, so that none is missed.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from jaxft.analysis.frames import Chunk, Frames, fractional, inverses, unwrap
from jaxft.structures.neighbors import find_edges

LONGEST = 16
"""Frames that share one search at most."""

DRIFT = 1.5
"""Å that an atom may move from the first frame of a search; beyond it a new one is cheaper than a wider one."""


class Segment(NamedTuple):
    """Consecutive frames, and every pair that is within its reach in at least one of them.

    start      index of the first frame
    positions  (frames, atoms, 3) Å, unwrapped
    cells      (frames, 3, 3) Å
    pairs      (pairs, 5): i, j, n. Each pair once: i < j, or i = j with the first n that is not 0 positive
    distances  (frames, pairs) Å, in all frames
    """

    start: int
    positions: Float[np.ndarray, "frames atoms 3"]
    cells: Float[np.ndarray, "frames 3 3"]
    pairs: Int[np.ndarray, "pairs 5"]
    distances: Float[np.ndarray, "frames pairs"]


def segments(frames: Frames, reach: Float[np.ndarray, "elements elements"]) -> Iterator[Segment]:
    """All frames, a few at a time, with the pairs that come within reach.

    reach: Å between each two elements, in the order of ``np.unique(frames.numbers)``, symmetric; 0: not wanted.
    Positions are unwrapped on the way, which needs frames near each other in time (``frames.unwrap``).
    """
    kinds = np.unique(frames.numbers, return_inverse=True)[1]
    pbc = np.asarray(frames.pbc, dtype=bool)
    before = None
    for chunk in frames.chunks():
        positions = unwrap(chunk.positions, chunk.cells, pbc, before)
        before = fractional(positions[-1:], chunk.cells[-1:], pbc)[0]
        for first, last in _cuts(positions):
            rows = slice(first, last)
            part = Chunk(chunk.start + first, positions[rows], chunk.cells[rows])
            pairs = _candidates(part, pbc, kinds, reach)
            distances = pair_distances(part.positions, part.cells, pairs)
            near = (distances < reach[kinds[pairs[:, 0]], kinds[pairs[:, 1]]]).any(axis=0)
            yield Segment(*part, pairs[near], distances[:, near])


def pair_distances(
    positions: Float[np.ndarray, "frames atoms 3"],
    cells: Float[np.ndarray, "frames 3 3"],
    pairs: Int[np.ndarray, "pairs 5"],
) -> Float[np.ndarray, "frames pairs"]:
    """|r_j + n·cell - r_i| in Å of given pairs (i, j, n) in given frames."""
    vectors = positions[:, pairs[:, 1]] - positions[:, pairs[:, 0]]
    vectors += pairs[:, 2:].astype(np.float64) @ (cells[0] if _still(cells) else cells)
    return np.sqrt(np.einsum("fpx,fpx->fp", vectors, vectors))


def nearest_image(
    vectors: Float[np.ndarray, "frames pairs 3"], cells: Float[np.ndarray, "frames 3 3"], pbc: Bool[np.ndarray, "3"]
) -> Float[np.ndarray, "frames pairs 3"]:
    """Vectors with whole lattice vectors taken out, so that fractional coordinates lie between -1/2 and 1/2.

    Exact below half the shortest perpendicular height h of the cell, whatever its angles: |r| < h/2 implies that each
    fractional coordinate is below 1/2. Beyond that a nearer image may exist.
    """
    turns = np.where(np.asarray(pbc, dtype=bool), np.round(vectors @ inverses(cells, pbc)), 0.0)
    return vectors - turns @ cells


def _cuts(positions: Float[np.ndarray, "frames atoms 3"]) -> Iterator[tuple[int, int]]:
    """First and last + 1 of stretches in which no atom drifts far."""
    first, n = 0, len(positions)
    while first < n:
        moved = np.square(positions[first : first + LONGEST] - positions[first]).sum(axis=-1).max(axis=-1, initial=0.0)
        far = np.flatnonzero(moved > DRIFT**2)
        length = int(far[0]) if len(far) else len(moved)
        yield first, first + length
        first += length


def _candidates(
    part: Chunk,
    pbc: Bool[np.ndarray, "3"],
    kinds: Int[np.ndarray, "atoms"],
    reach: Float[np.ndarray, "elements elements"],
) -> Int[np.ndarray, "pairs 5"]:
    """All pairs that may be within reach in any of these frames.

    With w the fractional vector of a pair: |w(t) h(t)| < reach implies |w(0) h(0)| < γ reach + m_i + m_j, with h(0) the cell
    of the searched frame, m the largest movement of an atom in fractional coordinates times h(0), and γ the largest
    ‖h(t)⁻¹ h(0)‖ (1 where the cell stands still).
    """
    middle = len(part.positions) // 2
    positions, cell = part.positions[middle], part.cells[middle]
    if _still(part.cells):
        moves, stretch = part.positions - positions, 1.0
    else:
        inverse = np.linalg.inv(part.cells)
        moves = (part.positions @ inverse - positions @ inverse[middle]) @ cell
        stretch = float(np.linalg.norm(inverse @ cell, ord=2, axis=(1, 2)).max())
    moved = np.sqrt(np.square(moves).sum(axis=-1).max(axis=0))
    by_kind = np.zeros(len(reach))
    np.maximum.at(by_kind, kinds, moved)
    radius = np.where(reach > 0.0, stretch * reach + by_kind[:, None] + by_kind, 0.0).max(initial=0.0)
    if radius == 0.0:
        return np.empty((0, 5), dtype=np.int32)
    edges = find_edges(positions, cell, pbc, float(radius))
    i, j, n = edges.receivers, edges.senders, edges.shifts
    wanted = reach[kinds[i], kinds[j]]
    sign = np.sign(np.sign(n) @ [4, 2, 1]) if len(n) else np.empty(0)
    once = ((i < j) | ((i == j) & (sign > 0))) & (wanted > 0.0)
    i, j, n, wanted = i[once], j[once], n[once], wanted[once]
    pairs = np.column_stack([i, j, n])
    distances = pair_distances(positions[None], cell[None], pairs)[0]
    return pairs[distances < stretch * wanted + moved[i] + moved[j]]


def _still(cells: Float[np.ndarray, "frames 3 3"]) -> bool:
    """Whether these frames share one cell in memory, as ``Frames.chunks`` hands it out where it does not move."""
    return len(cells) == 1 or cells.strides[0] == 0
