"""The batch plan: fair to every structure, a function of the seed, never a batch larger than the set."""

from types import SimpleNamespace

import numpy as np
import pytest

from jaxft.finetune.batches import batch_plan, bucketed, in_order
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
    plan = bucketed(data, batch_plan(4, 3, updates=20, seed=0)[None], chunk=7)
    assert len(plan.shapes) == 1
    shape = plan.shapes[0]
    assert shape.n_structures == 3
    assert np.asarray(data.targets.n_atoms)[plan.structures].sum(axis=-1).max() <= shape.n_atoms
    assert np.asarray(data.n_edges)[plan.structures].sum(axis=-1).max() <= shape.n_edges


def sizes(n_atoms, n_edges):
    """Just enough of a training set to plan for."""
    return SimpleNamespace(targets=SimpleNamespace(n_atoms=np.array(n_atoms)), n_edges=np.array(n_edges))


def test_mixed_sizes_get_a_few_shapes_and_no_batch_leaves_its_chunk():
    rng = np.random.default_rng(0)
    edges = np.where(np.arange(40) % 8 == 0, 4000, rng.integers(300, 900, 40))
    data = sizes(edges // 50, edges)
    members = np.stack([batch_plan(40, 2, 100, seed) for seed in (0, 1)])
    plan = bucketed(data, members, chunk=25)
    assert 2 <= len(plan.shapes) <= 3
    for k, shape in enumerate(plan.shapes):
        need = edges[plan.structures[:, plan.bucket == k]].sum(axis=-1)
        assert need.max() <= shape.n_edges
        assert (edges // 50)[plan.structures[:, plan.bucket == k]].sum(axis=-1).max() <= shape.n_atoms
    padded = np.array([plan.shapes[k].n_edges for k in plan.bucket]).mean()
    assert padded < 0.8 * max(shape.n_edges for shape in plan.shapes)
    for start in range(0, 100, 25):
        for k in range(2):
            before, after = (sorted(rows[k, start : start + 25].tolist()) for rows in (members, plan.structures))
            assert before == after


def test_a_member_has_the_same_order_alone_and_beside_others():
    rng = np.random.default_rng(1)
    edges = np.where(np.arange(40) % 4 == 0, 4000, rng.integers(300, 1500, 40))
    data = sizes(edges // 50, edges)
    members = np.stack([batch_plan(40, 2, 110, seed) for seed in (0, 1, 2)])
    together = bucketed(data, members, chunk=25)
    assert len(together.shapes) == 3
    for k in range(3):
        alone = bucketed(data, members[k : k + 1], chunk=25)
        assert (together.structures[k] == alone.structures[0]).all()


def test_batches_of_one_shape_follow_each_other_and_large_ones_are_not_always_first():
    edges = np.repeat([4000, 500, 1800], 20)
    plan = bucketed(sizes(edges // 50, edges), batch_plan(60, 1, 400, seed=0)[None], chunk=50)
    first = set()
    for start in range(0, 400, 50):
        bucket = plan.bucket[start : start + 50]
        assert (np.diff(bucket) != 0).sum() == len(set(bucket.tolist())) - 1
        first.add(int(bucket[0]))
    assert first == {0, 1, 2}


def test_validation_structures_come_once_each_in_one_shape():
    data = sizes([3, 9, 4, 7, 5], [30, 90, 40, 70, 50])
    batches, shape = in_order(data, 2)
    assert sorted(batches.ravel().tolist()) == [0, 1, 2, 3, 4, 5]
    assert (shape.n_structures, shape.n_atoms, shape.n_edges) == (2, 16, 192)
