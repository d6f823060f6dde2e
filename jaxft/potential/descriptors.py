"""Invariant descriptors of atoms: the even scalars inside a network, unchanged by rotation, translation, inversion."""

from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np
from ase import Atoms
from flax import linen as nn
from jaxtyping import Array, Float

from jaxft.compilation import compiled
from jaxft.errors import InputError
from jaxft.potential.evaluate import Evaluator
from jaxft.potential.potential import Potential
from jaxft.structures.graph import Graph, edge_vectors


def node_descriptors(network: nn.Module, params: Any, graph: Graph, layers: str) -> Float[Array, "atoms features"]:
    """Descriptors of a graph's atoms. Pure: callers decide what to compile."""
    vectors = edge_vectors(graph, network.cutoff)
    outputs = network.apply(params, vectors, graph.species, graph.senders, graph.receivers)
    chosen = outputs.descriptors[-1:] if layers == "last" else outputs.descriptors  # type: ignore[union-attr]
    return jnp.concatenate(chosen, axis=-1)


LAYERS = ("last", "all")


@partial(compiled, static_argnums=(0, 3))
def compiled_descriptors(network: nn.Module, params: Any, graph: Graph, layers: str) -> Float[Array, "atoms features"]:
    """``node_descriptors`` compiled per (network settings, shapes, dtype, layers); parameters are arguments."""
    return node_descriptors(network, params, graph, layers)


def descriptors(
    potential: Potential, atoms: Atoms, layers: str = "last", dtype: str = "float32"
) -> Float[np.ndarray, "atoms features"]:
    """Descriptors (atoms, features) of one structure, of the last layer or of all layers side by side."""
    if layers not in LAYERS:
        raise InputError(f"layers must be one of {', '.join(LAYERS)}, got {layers!r}")
    evaluator = Evaluator(potential, dtype=dtype)
    result = compiled_descriptors(potential.network, evaluator.params, evaluator.graph(atoms), layers)
    return np.asarray(result)[: len(atoms)]
