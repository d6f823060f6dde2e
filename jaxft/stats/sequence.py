"""Orders in which every prefix is well spread: so that 10, 21 or 50 picks of one list each cover the whole.

Radical inverses (van der Corput) fill the unit interval evenly at every length; here they order frames in time, and
frames of several replicas.
"""

import itertools
import math

import numpy as np
from jaxtyping import Float, Int


def radical_inverse(index: Int[np.ndarray, "n"], base: int = 2) -> Float[np.ndarray, "n"]:
    """Van der Corput's numbers in [0, 1): digits of ``index`` in ``base`` mirrored at the point (6 = 110 -> 0.011).

    Source: J. van der Corput, Proc. Akad. Wet. Amsterdam 38 (1935) 813.
    """
    if base < 2:
        raise ValueError(f"expected a base of at least 2, got {base}")
    rest = np.array(index, dtype=np.int64)
    if (rest < 0).any():
        raise ValueError("expected indices that are not negative")
    inverse, weight = np.zeros(rest.shape), 1.0
    while rest.any():
        weight /= base
        inverse += weight * (rest % base)
        rest //= base
    return inverse


def spread_order(n: int, base: int = 2) -> Int[np.ndarray, "n"]:
    """A permutation of 0..n-1 of which every prefix is spread evenly.

    The k-th pick is the rank of the k-th radical inverse, counted from 1: so the first is the middle (7 -> 3 1 5 0 4 2
    6), and a short prefix doesn't lean to the beginning.
    """
    return _ranks(radical_inverse(np.arange(1, n + 1), base))


def interleave(n_replicas: int, n_frames: int) -> Int[np.ndarray, "picks 2"]:
    """All (replica, frame) pairs in an order of which every prefix is spread over replicas and over time.

    Replicas take turns, so that their shares in a prefix differ by at most one. Time follows the radical inverse,
    within each replica and over all of them; its base is the smallest prime that does not divide n_replicas, else a
    replica would be met in one part of its run only (turn after turn, in base 2, ten replicas would have halves of
    their own). Frames are counted within a replica, from 0 to n_frames - 1. Where a replica broke off, leave out what
    it lacks.
    """
    if n_replicas < 1 or n_frames < 1:
        raise ValueError(f"expected at least one replica and one frame, got {n_replicas} and {n_frames}")
    pick = np.arange(n_replicas * n_frames)
    times = radical_inverse(pick + 1, _coprime_base(n_replicas)).reshape(n_frames, n_replicas)
    frames = np.stack([_ranks(column) for column in times.T], axis=1)
    return np.stack([pick % n_replicas, frames.ravel()], axis=1)


def _ranks(values: Float[np.ndarray, "n"]) -> Int[np.ndarray, "n"]:
    ranks = np.empty(len(values), dtype=np.int64)
    ranks[np.argsort(values, kind="stable")] = np.arange(len(values))
    return ranks


def _coprime_base(n: int) -> int:
    """The smallest prime that does not divide n (the smallest number that shares no factor with n is that prime)."""
    return next(base for base in itertools.count(2) if math.gcd(base, n) == 1)
