"""A stream of structures gets the descriptors that each would get by itself."""

import numpy as np
import pytest
from ase import Atoms

from jaxft.errors import InputError
from jaxft.potential.describe import describe
from jaxft.potential.descriptors import compiled_descriptors


def rattled(atoms, count, seed=0):
    random = np.random.default_rng(seed)
    for _ in range(count):
        moved = atoms.copy()
        moved.positions += 0.05 * random.normal(size=moved.positions.shape)
        yield moved


@pytest.mark.parametrize("atoms_per_batch", [1, 40, 1000])
def test_the_same_whatever_the_batch(tiny, water, atoms_per_batch):
    structures = list(rattled(water, 7))
    found = list(describe(tiny, structures, dtype="float64", atoms_per_batch=atoms_per_batch))
    assert len(found) == 7
    for one, atoms in zip(found, structures, strict=True):
        np.testing.assert_allclose(one, tiny.descriptors(atoms, dtype="float64"), rtol=1e-12, atol=1e-14)


def test_structures_of_different_sizes_keep_their_order(tiny, water):
    structures = [water, water[:3], water[:1], water]
    found = list(describe(tiny, structures, atoms_per_batch=24))
    assert [len(one) for one in found] == [12, 3, 1, 12]
    np.testing.assert_allclose(found[1], tiny.descriptors(water[:3]), atol=1e-5)


def test_batches_are_read_two_ahead_at_most(tiny, water):
    read = []

    def counted():
        for k, atoms in enumerate(rattled(water, 1000)):
            read.append(k)
            yield atoms

    stream = describe(tiny, counted(), atoms_per_batch=36)
    next(stream)
    assert len(read) <= 2 * (36 // len(water))


def test_structures_of_one_size_share_a_program(tiny, water):
    before = compiled_descriptors._cache_size()
    list(describe(tiny, rattled(water, 9, seed=3), atoms_per_batch=60))
    assert compiled_descriptors._cache_size() - before <= 1


def test_nothing_gives_nothing_and_a_stranger_is_named(tiny, water):
    assert list(describe(tiny, [])) == []
    with pytest.raises(InputError, match="Xe"):
        list(describe(tiny, [Atoms("Xe", positions=[[0, 0, 0]])]))
    with pytest.raises(InputError, match="layers"):
        list(describe(tiny, [water], layers="middle"))
