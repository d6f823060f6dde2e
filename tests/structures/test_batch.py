"""Capacities and padded graphs."""

import numpy as np
import pytest

from jaxft.errors import InputError
from jaxft.structures.batch import build_graph, capacity
from jaxft.structures.graph import edge_vectors


@pytest.mark.parametrize("need", [1, 63, 64, 65, 700, 1931, 1932, 40000, 123457])
def test_capacity_holds_the_need_with_little_padding(need):
    size = capacity(need, 64)
    assert size >= need
    assert size % 64 == 0
    assert size <= max(need + 64, 1.1 * need + 1)


def test_capacity_grows_with_need():
    sizes = [capacity(n, 64) for n in range(1, 20000, 7)]
    assert sizes == sorted(sizes)
    assert len(set(sizes)) < 80


def test_a_graph_of_several_structures_has_the_edges_of_each(structures):
    chosen = [structures["periodic"], structures["molecule"], structures["slab"]]
    graph = build_graph(chosen, (1, 8, 17), 3.5, n_atoms=40, n_edges=1000)
    assert [int((graph.structure == k).sum()) for k in range(4)] == [6, 3, 6, 25]
    lengths = np.linalg.norm(edge_vectors(graph, 3.5), axis=-1)
    padding = graph.receivers >= 40
    np.testing.assert_allclose(lengths[padding], 7.0)
    assert (lengths[~padding] < 3.5).all()
    assert (graph.structure[graph.senders[~padding]] == graph.structure[graph.receivers[~padding]]).all()


def test_a_capacity_that_is_too_small_is_an_error(water):
    with pytest.raises(ValueError, match="capacity"):
        build_graph([water], (1, 8), 3.5, n_atoms=4)


def test_an_unknown_element_is_named(water):
    with pytest.raises(InputError, match="does not know O"):
        build_graph([water], (1, 17), 3.5)
