"""The training set as flat arrays on the device, and batches of it taken by index.

All structures lie one after another in one Graph without padding; a batch is cut out of it on the device from nothing
but the structures' numbers. So any structure may meet any other in a batch, whatever their sizes, and all batches
have one shape.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxft.compilation import compiled
from jaxft.finetune.loss import Targets
from jaxft.potential.potential import Potential
from jaxft.pytree import pytree
from jaxft.structures.batch import build_graph
from jaxft.structures.dataset import LabelledStructure
from jaxft.structures.graph import Graph


@pytree
class TrainingSet:
    """Labelled structures, flat.

    graph    all structures, no padding; senders and receivers count over the whole set
    targets  of all structures (``loss.py``)
    n_edges  (structures,) edges of each structure
    """

    graph: Graph
    targets: Targets
    n_edges: Int[Array, "structures"]


class BatchShape(NamedTuple):
    """What decides compilation: structures, atoms and edges that a batch has room for."""

    n_structures: int
    n_atoms: int
    n_edges: int


def build_training_set(
    data: Sequence[LabelledStructure],
    potential: Potential,
    *,
    stress: bool,
    dtype: str = "float32",
    weights: Sequence[float] | None = None,
    replay: Sequence[LabelledStructure] = (),
    base: Potential | None = None,
) -> TrainingSet:
    """Flat arrays of ``data``, which ``check_labels`` has seen, and of ``replay`` structures behind them.

    potential  its reference energies (base plus offset, eV) are subtracted from the labels in float64; only the rest is cast to
               ``dtype``
    stress     whether the targets hold stresses
    weights    of the structures of ``data``; default 1
    base       its reference energies are subtracted from the labels of ``replay``, which are its own: what the network must keep
               is its interaction energy, whatever the offset of the new labels
    """
    n_labels = len(data)
    references = [potential] * n_labels + [potential if base is None else base] * len(replay)
    data = [*data, *replay]
    structures = [item.atoms for item in data]
    graph = build_graph(structures, potential.atomic_numbers, potential.cutoff, dtype=np.dtype(dtype))
    energies = np.array(
        [float(item.energy) - of.reference_energy(item.atoms) for item, of in zip(data, references, strict=True)]
    )
    given = np.ones(n_labels) if weights is None else np.asarray(weights, dtype=np.float64)
    volumes = np.array([abs(np.linalg.det(a.cell.array)) if a.pbc.all() else 1.0 for a in structures])
    targets = Targets(
        energies=jnp.asarray(energies, dtype),
        forces=jnp.asarray(np.concatenate([np.asarray(item.forces) for item in data]), dtype),
        stresses=jnp.asarray(np.stack([np.asarray(item.stress) for item in data]), dtype) if stress else None,
        volumes=jnp.asarray(volumes, dtype),
        n_atoms=jnp.asarray([len(a) for a in structures], jnp.int32),
        weights=jnp.asarray(np.concatenate([given, np.ones(len(replay))]), dtype),
        replay=jnp.arange(len(data)) >= n_labels,
    )
    n_edges = np.bincount(graph.structure[graph.receivers], minlength=len(data)).astype(np.int32)
    if not n_edges.any():
        # a lookup needs something to look at, even where padding is all that it will take from there
        nowhere = jnp.full(1, len(graph.positions), graph.senders.dtype)
        graph = replace(graph, senders=nowhere, receivers=nowhere, shifts=jnp.zeros((1, 3), graph.shifts.dtype))
    return TrainingSet(jax.tree.map(jnp.asarray, graph), targets, jnp.asarray(n_edges))


def take_batch(data: TrainingSet, chosen: Int[Array | np.ndarray, "batch"], shape: BatchShape) -> tuple[Graph, Targets]:
    """The structures numbered ``chosen`` as one padded Graph, with their targets, in that order.

    A number outside the set is a padding structure of no atoms. Pure; ``shape`` is static and must hold any batch
    that is asked for: what does not fit would be cut off, so ``batches.py`` takes it from the whole plan.
    """
    flat, labels = data.graph, data.targets
    chosen = jnp.asarray(chosen)
    real = chosen < labels.n_atoms.shape[0]
    pick = jnp.where(real, chosen, 0)
    n_atoms = jnp.where(real, labels.n_atoms[pick], 0)
    n_edges = jnp.where(real, data.n_edges[pick], 0)
    first_atom, first_edge = _starts(labels.n_atoms)[pick], _starts(data.n_edges)[pick]

    atom, of_atom = _spread(first_atom, n_atoms, shape.n_atoms)
    edge, of_edge = _spread(first_edge, n_edges, shape.n_edges)
    is_atom, is_edge = of_atom < shape.n_structures, of_edge < shape.n_structures
    # from numbers in the whole set to numbers in the batch
    move = (_starts(n_atoms) - first_atom)[jnp.minimum(of_edge, shape.n_structures - 1)]
    graph = Graph(
        positions=_keep(is_atom, flat.positions[atom]),
        species=_keep(is_atom, flat.species[atom]),
        structure=of_atom,
        cells=_keep(real, flat.cells[pick]),
        senders=jnp.where(is_edge, flat.senders[edge] + move, shape.n_atoms),
        receivers=jnp.where(is_edge, flat.receivers[edge] + move, shape.n_atoms),
        shifts=_keep(is_edge, flat.shifts[edge]),
    )
    targets = Targets(
        energies=_keep(real, labels.energies[pick]),
        forces=_keep(is_atom, labels.forces[atom]),
        stresses=None if labels.stresses is None else _keep(real, labels.stresses[pick]),
        volumes=jnp.where(real, labels.volumes[pick], 1.0),
        n_atoms=n_atoms,
        weights=_keep(real, labels.weights[pick]),
        replay=real & labels.replay[pick],
    )
    return graph, targets


@partial(compiled, static_argnames="shape")
def take_batches(
    data: TrainingSet, chosen: Int[Array | np.ndarray, "batches batch"], shape: BatchShape
) -> tuple[Graph, Targets]:
    """Several batches, stacked along a new first axis.

    Compiled apart from training because it depends on the size of the set, which training must not: a set of one more
    structure recompiles these few lookups (a fraction of a second) and not the second derivatives of a network.
    """
    return jax.vmap(lambda one: take_batch(data, one, shape))(chosen)


def _starts(sizes: Int[Array, "n"]) -> Int[Array, "n"]:
    return jnp.cumsum(sizes, dtype=sizes.dtype) - sizes


def _spread(
    first: Int[Array, "batch"], sizes: Int[Array, "batch"], room: int
) -> tuple[Int[Array, "room"], Int[Array, "room"]]:
    """For each place of a padded array: its place in the flat one, and the member of the batch that it belongs to.

    Padding belongs to member ``batch`` and comes from place 0.
    """
    place = jnp.arange(room, dtype=jnp.int32)
    ends = jnp.cumsum(sizes, dtype=jnp.int32)
    member = jnp.searchsorted(ends, place, side="right").astype(jnp.int32)
    inside = member < sizes.shape[0]
    known = jnp.where(inside, member, 0)
    source = first[known] + place - (ends - sizes)[known]
    return jnp.where(inside, source, 0), member


def _keep(mask: Bool[Array, "n"], values: Float[Array, "n *rest"] | Int[Array, "n *rest"]) -> Array:
    """``values`` where the mask is set, zero elsewhere."""
    return jnp.where(mask.reshape(-1, *[1] * (values.ndim - 1)), values, 0)
