"""Which atoms are bonded, with hysteresis and persistence: what vibrates across a limit, or passes by, changes nothing.

A pair becomes bonded below one distance and unbonded above a longer one (``bond_limits.py``); in between it stays what it
was, and in the first frame the middle decides. A change counts only where the new state lasts (50 fs, protocol 8), and its
time is the first frame of the new state. What changes mean chemically is ``bond_events.py``'s part.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from jaxft.analysis.bond_limits import BondSettings, find_limits, frames_to_last, limit_matrix
from jaxft.analysis.pair_distances import Segment, pair_distances


class Pair(NamedTuple):
    """Two atoms and the image of the second (``pair_distances``)."""

    i: int
    j: int
    n: tuple[int, int, int]


class BondChange(NamedTuple):
    """A bond that formed, or broke: first frame of the new state and the distance there in Å."""

    frame: int
    pair: Pair
    formed: bool
    distance: float


class Track(NamedTuple):
    """A pair that is bonded, or about to change.

    bonded    the state that counts
    current   the state by hysteresis alone
    since     first frame of the current state, where it is not the one that counts
    distance  Å, there
    """

    bonded: bool
    current: bool
    since: int
    distance: float


APART = Track(False, False, 0, 0.0)
"""All pairs that have no track."""


class Limits(NamedTuple):
    """What ``step`` compares with.

    kinds    (atoms,) row of each atom in the matrices
    form     (elements, elements) Å; 0: not followed
    broken   (elements, elements) Å; likewise
    persist  frames after its first in which a new state must still be there
    """

    kinds: Int[np.ndarray, "atoms"]
    form: Float[np.ndarray, "elements elements"]
    broken: Float[np.ndarray, "elements elements"]
    persist: int


@dataclass(frozen=True)
class Tracking:
    """Where the search stands after some frames.

    tracks    all pairs that are bonded or about to change
    initial   pairs that were bonded in the first frame
    n_frames  looked at so far
    """

    tracks: Mapping[Pair, Track] = field(default_factory=dict)
    initial: frozenset[Pair] = frozenset()
    n_frames: int = 0


def limits_of(numbers: Int[np.ndarray, "atoms"], frame_fs: float, settings: BondSettings) -> Limits:
    """Limits of these atoms in frames ``frame_fs`` apart."""
    limits = find_limits(numbers, settings)
    return Limits(
        kinds=np.unique(numbers, return_inverse=True)[1],
        form=limit_matrix(numbers, limits, "form"),
        broken=limit_matrix(numbers, limits, "broken"),
        persist=frames_to_last(frame_fs, settings),
    )


def step(tracking: Tracking, segment: Segment, limits: Limits) -> tuple[Tracking, list[BondChange]]:
    """Follow all pairs through the next segment, whose reach was at least ``limits.broken``.

    Returns where the search stands, and the changes that were confirmed in this segment; the first frame of a new state
    may lie before it.
    """
    names, pairs, distances = _followed(segment, tracking.tracks, limits)
    rows = limits.kinds[pairs[:, 0]], limits.kinds[pairs[:, 1]]
    low, high = limits.form[rows], limits.broken[rows]
    initial = tracking.initial
    if tracking.n_frames == 0:
        bonded = (distances[0] < 0.5 * (low + high)).tolist()
        tracks = [Track(state, state, 0, 0.0) for state in bonded]
        initial = frozenset(name for name, state in zip(names, bonded, strict=True) if state)
    else:
        tracks = [tracking.tracks.get(name, APART) for name in names]
    counts = np.array([track.bonded for track in tracks], dtype=bool)
    current = np.array([track.current for track in tracks], dtype=bool)
    states = hysteresis(distances, low, high, current)
    changes: list[BondChange] = []
    for k in np.flatnonzero((current != counts) | (states != counts).any(axis=0)).tolist():
        tracks[k], new = _advance(names[k], tracks[k], states[:, k], distances[:, k], segment.start, limits.persist)
        changes += new
    kept = {name: track for name, track in zip(names, tracks, strict=True) if track.bonded or track.current}
    return Tracking(kept, initial, tracking.n_frames + len(distances)), changes


def unfinished(tracking: Tracking) -> list[BondChange]:
    """Changes that had not lasted long enough when the frames ended."""
    return [
        BondChange(track.since, name, track.current, track.distance)
        for name, track in tracking.tracks.items()
        if track.current != track.bonded
    ]


def hysteresis(
    distances: Float[np.ndarray, "frames pairs"],
    low: Float[np.ndarray, "pairs"],
    high: Float[np.ndarray, "pairs"],
    before: Bool[np.ndarray, "pairs"],
) -> Bool[np.ndarray, "frames pairs"]:
    """Whether bonded, in each frame: true below ``low``, false above ``high``, in between as in the frame before."""
    below = distances < low
    told = below | (distances > high)
    # the last frame that told, for each frame; the first frame stands for what was before
    last = np.maximum.accumulate(np.where(told, np.arange(len(distances))[:, None], 0), axis=0)
    below[0] = np.where(told[0], below[0], before)
    return np.take_along_axis(below, last, axis=0)


def _followed(
    segment: Segment, tracks: Mapping[Pair, Track], limits: Limits
) -> tuple[list[Pair], Int[np.ndarray, "pairs 5"], Float[np.ndarray, "frames pairs"]]:
    """Pairs of the segment that are followed, and those with a track that have left its reach."""
    kinds = limits.kinds[segment.pairs[:, :2]]
    near = (segment.distances < limits.broken[kinds[:, 0], kinds[:, 1]]).any(axis=0)
    names = [Pair(i, j, (a, b, c)) for i, j, a, b, c in segment.pairs[near].tolist()]
    there = set(names)
    gone = [name for name in tracks if name not in there]
    if not gone:
        return names, segment.pairs[near], segment.distances[:, near]
    missing = np.array([(name.i, name.j, *name.n) for name in gone], dtype=segment.pairs.dtype)
    distances = pair_distances(segment.positions, segment.cells, missing)
    return (
        names + gone,
        np.concatenate([segment.pairs[near], missing]),
        np.concatenate([segment.distances[:, near], distances], axis=1),
    )


def _advance(
    name: Pair,
    track: Track,
    states: Bool[np.ndarray, "frames"],
    distances: Float[np.ndarray, "frames"],
    start: int,
    persist: int,
) -> tuple[Track, list[BondChange]]:
    """One pair through a segment: its track at the end, and the changes that were confirmed."""
    bonded, current, since, distance = track
    changes = []
    begins = [0, *(np.flatnonzero(np.diff(states)) + 1).tolist()]
    for begin, end in zip(begins, [*begins[1:], len(states)], strict=True):
        if bool(states[begin]) != current:
            current, since, distance = bool(states[begin]), start + begin, float(distances[begin])
        if current != bonded and start + end - 1 - since >= persist:
            bonded = current
            changes.append(BondChange(since, name, current, distance))
    return Track(bonded, current, since, distance), changes
