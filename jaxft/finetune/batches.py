"""Which structures make which update: the whole plan, known before training starts, from the seed alone.

Since the plan is a function of (number of structures, batch size, number of updates, seed), resuming needs no random
state, and the largest batch that will ever come is known, so that one shape serves all.
"""

import numpy as np
from jaxtyping import Int

from jaxft.finetune.training_set import BatchShape, TrainingSet
from jaxft.potential.evaluate import ATOM_GRANULARITY, EDGE_GRANULARITY
from jaxft.structures.batch import capacity


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


def shape_for(data: TrainingSet, plan: Int[np.ndarray, "updates batch"]) -> BatchShape:
    """The shape that holds every batch of the plan."""
    atoms = np.asarray(data.targets.n_atoms)[plan].sum(axis=1).max()
    edges = np.asarray(data.n_edges)[plan].sum(axis=1).max()
    return BatchShape(plan.shape[1], capacity(int(atoms), ATOM_GRANULARITY), capacity(int(edges), EDGE_GRANULARITY))
