"""The batch plan: fair to every structure, a function of the seed, never a batch larger than the set."""

import numpy as np
import pytest

from jaxft.finetune.batches import batch_plan, shape_for
from jaxft.finetune.training_set import build_training_set


@pytest.mark.parametrize(("n", "batch"), [(50, 8), (7, 3), (5, 5), (4, 3), (1, 1)])
def test_every_structure_comes_once_per_pass(n, batch):
    plan = batch_plan(n, batch, updates=6 * n, seed=0).ravel()
    for start in range(0, len(plan) - n + 1, n):
        assert sorted(plan[start : start + n]) == list(range(n))


@pytest.mark.parametrize(("n", "batch"), [(50, 8), (7, 5), (4, 3)])
def test_no_structure_is_twice_in_a_batch(n, batch):
    assert all(len(set(row)) == batch for row in batch_plan(n, batch, updates=200, seed=1).tolist())


def test_batch_larger_than_the_set_shrinks():
    assert batch_plan(3, 10, updates=4, seed=0).shape == (4, 3)


def test_plan_follows_the_seed_and_more_updates_extend_it():
    assert (batch_plan(9, 4, 30, seed=5) == batch_plan(9, 4, 50, seed=5)[:30]).all()
    assert (batch_plan(9, 4, 30, seed=5) != batch_plan(9, 4, 30, seed=6)).any()


def test_neighbors_in_the_set_are_not_neighbors_in_the_plan():
    # all pairs of structures meet in some batch: the passes are shuffled anew
    plan = batch_plan(6, 2, updates=300, seed=0)
    assert len({tuple(sorted(row)) for row in plan.tolist()}) == 15


def test_shape_holds_every_batch(labels, student):
    data = build_training_set(labels, student, stress=False)
    plan = batch_plan(4, 3, updates=20, seed=0)
    shape = shape_for(data, plan)
    assert shape.n_structures == 3
    assert np.asarray(data.targets.n_atoms)[plan].sum(axis=1).max() <= shape.n_atoms
    assert np.asarray(data.n_edges)[plan].sum(axis=1).max() <= shape.n_edges
