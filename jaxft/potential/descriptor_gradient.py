"""How a function of one atom's descriptor changes when any atom moves: which neighbors make it what it is."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ase import Atoms
from flax import linen as nn
from jaxtyping import Array, Float, Int

from jaxft.compilation import compiled
from jaxft.potential.descriptors import node_descriptors
from jaxft.potential.evaluate import Evaluator
from jaxft.potential.potential import Potential
from jaxft.pytree import replace
from jaxft.structures.graph import Graph


def quadratic_gradient(
    potential: Potential,
    atoms: Atoms,
    atom: int,
    center: Float[np.ndarray, "features"],
    axes: Float[np.ndarray, "features axes"],
    layers: str = "last",
    dtype: str = "float32",
) -> tuple[float, Float[np.ndarray, "atoms 3"]]:
    """f = ‖axesᵀ (d - center)‖² of the descriptor d of one atom, and ∂f/∂r of all atoms, per Å; images count for their atom."""
    evaluator = Evaluator(potential, dtype=dtype)
    value, gradient = _gradient(
        potential.network,
        layers,
        evaluator.params,
        evaluator.graph(atoms),
        jnp.asarray(atom),
        jnp.asarray(center, dtype),
        jnp.asarray(axes, dtype),
    )
    return float(value), np.asarray(gradient, dtype=np.float64)[: len(atoms)]


@partial(compiled, static_argnums=(0, 1))
def _gradient(
    network: nn.Module,
    layers: str,
    params: Any,
    graph: Graph,
    atom: Int[Array, ""],
    center: Float[Array, "features"],
    axes: Float[Array, "features axes"],
) -> tuple[Float[Array, ""], Float[Array, "atoms 3"]]:
    def f(positions: Float[Array, "atoms 3"]) -> Float[Array, ""]:
        descriptors = node_descriptors(network, params, replace(graph, positions=positions), layers)
        return (((descriptors[atom] - center) @ axes) ** 2).sum()

    return jax.value_and_grad(f)(graph.positions)
