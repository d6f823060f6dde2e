"""Which structures make which update: the whole plan, known before training starts, from the seed alone.

Since the plan is a function of (number of structures, batch size, number of updates, seed), resuming needs no random
state, and the largest batch that will ever come is known, so that one shape serves all, or a few where sizes are mixed.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from jaxft.finetune.training_set import BatchShape, TrainingSet
from jaxft.potential.evaluate import ATOM_GRANULARITY, EDGE_GRANULARITY
from jaxft.structures.batch import capacity

BUCKETS = 3
"""Shapes that batches of mixed sizes are padded to, at most: each is compiled once."""


def batch_plan(n_structures: int, batch_size: int, updates: int, seed: int) -> Int[np.ndarray, "updates batch"]:
    """Structure numbers of each update's batch; the batch is never larger than the set.

    The structures stream by in one permutation after another, cut into batches without regard to where a permutation
    ends: each structure comes exactly once per permutation, so 50 structures in batches of 8 are treated alike, with
    no remainder dropped or padded. Where a batch spans two permutations, the second begins with structures that the
    batch does not hold yet, so that none is twice in one batch.
    """
    batch_size = min(batch_size, n_structures)
    generator = np.random.default_rng(seed)
    passes: list[np.ndarray] = []
    in_batch = np.zeros(0, dtype=np.int64)  # what the last pass left in a batch that it could not fill
    while len(passes) * n_structures < updates * batch_size:
        order = generator.permutation(n_structures)
        first = order[~np.isin(order, in_batch)][: batch_size - len(in_batch)]
        passes.append(np.concatenate([first, order[~np.isin(order, first)]]))
        begun = len(passes) * n_structures % batch_size
        in_batch = passes[-1][n_structures - begun :]
    stream = np.concatenate(passes)[: updates * batch_size]
    return stream.reshape(updates, batch_size).astype(np.int32)


class BatchPlan(NamedTuple):
    """Every update's batch, and the shape that it is padded to.

    structures  (members, updates, batch) structure numbers, in the order in which they are trained on
    bucket      (updates,) which of ``shapes`` holds the update's batch of every member
    shapes      largest first
    """

    structures: Int[np.ndarray, "members updates batch"]
    bucket: Int[np.ndarray, "updates"]
    shapes: tuple[BatchShape, ...]


def bucketed(data: TrainingSet, structures: Int[np.ndarray, "members updates batch"], chunk: int) -> BatchPlan:
    """Shapes for all batches: one, or up to three where sets of mixed sizes would be padded too much by one.

    Within each chunk of updates, which is one call of a compiled program for each shape in it, batches of one bucket are done after
    each other, the buckets in a random order of their own in each chunk; a batch never leaves its chunk. The order of a member is
    a function of its own batches, so it trains beside others as it would alone: only padding follows from all of them.
    """
    atoms, edges = _needs(data, structures)
    own = np.stack([_buckets(of_member) for of_member in edges])
    chunk_of = np.arange(structures.shape[1]) // chunk
    turn = np.stack([np.random.default_rng(number).permutation(BUCKETS) for number in range(chunk_of[-1] + 1)])
    order = np.stack([np.lexsort((turn[chunk_of, of_member], chunk_of)) for of_member in own])
    own, atoms, edges = (np.take_along_axis(values, order, axis=1) for values in (own, atoms, edges))
    bucket = own.min(axis=0)
    used = sorted(set(bucket.tolist()))
    bucket = np.searchsorted(used, bucket)
    shapes = tuple(
        BatchShape(
            structures.shape[-1],
            capacity(int(atoms[:, bucket == k].max()), ATOM_GRANULARITY),
            capacity(int(edges[:, bucket == k].max()), EDGE_GRANULARITY),
        )
        for k in range(len(used))
    )
    return BatchPlan(np.take_along_axis(structures, order[..., None], axis=1), bucket, shapes)


def in_order(data: TrainingSet, batch_size: int) -> tuple[Int[np.ndarray, "batches batch"], BatchShape]:
    """Every structure once, in batches of similar size and one shape; numbers beyond the last are empty structures."""
    n = int(data.targets.n_atoms.shape[0])
    size = min(batch_size, n)
    order = np.argsort(-np.asarray(data.n_edges), kind="stable")
    batches = np.concatenate([order, np.full(-n % size, n)]).reshape(-1, size).astype(np.int32)
    atoms, edges = (int(need.max()) for need in _needs(data, batches))
    return batches, BatchShape(size, capacity(atoms, ATOM_GRANULARITY), capacity(edges, EDGE_GRANULARITY))


def _needs(
    data: TrainingSet, structures: Int[np.ndarray, "... batch"]
) -> tuple[Int[np.ndarray, "..."], Int[np.ndarray, "..."]]:
    """Atoms and edges of batches."""
    atoms, edges = (np.append(np.asarray(sizes), 0) for sizes in (data.targets.n_atoms, data.n_edges))
    return atoms[structures].sum(axis=-1), edges[structures].sum(axis=-1)


def _buckets(edges: Int[np.ndarray, "updates"]) -> Int[np.ndarray, "updates"]:
    """Bucket k holds batches of up to max/1.5ᵏ edges, k = 0, 1, 2; all in bucket 0 where that saves less than a fifth."""
    largest = max(int(edges.max()), 1)
    bucket = np.floor(np.log(largest / np.maximum(edges, 1)) / np.log(1.5) + 1e-9)
    bucket = np.clip(bucket, 0, BUCKETS - 1).astype(np.int64)
    padded = (largest / 1.5**bucket).mean()
    return bucket if padded < 0.8 * largest else np.zeros_like(bucket)
