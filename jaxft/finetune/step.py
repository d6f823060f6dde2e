"""The compiled part of training: a chunk of updates in one program, and what stops it.

This is the only place of the room that compiles training. Traced: state, hyperparameters, batches, how many of them count. Static:
the network's settings, what is trained, the kind of loss and the shapes; only a change of those compiles anew. A loss that is not
finite is data: the state keeps the last good parameters, notes which structures of the batch were at fault, and ignores all
later updates.

A program trains K members side by side (seeds, bootstraps, hyperparameters), stacked along the first axis of everything; one member
runs unmapped, so that updates beyond the last are skipped and not masked.
"""

from collections import Counter
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from jaxtyping import Array, Bool, Float, Int

from jaxft.compilation import compiled
from jaxft.finetune.ema import EmaState, init_ema, update_ema
from jaxft.finetune.lora import merge_lora
from jaxft.finetune.loss import LossTerms, Targets, loss_terms
from jaxft.finetune.optimizer import Hyperparameters, learning_rate_at, make_optimizer
from jaxft.finetune.trainable import TRAINED, Trainable, label_parameters, rate_factors
from jaxft.potential.derivatives import predict
from jaxft.structures.graph import Graph

COMPILATIONS: Counter[tuple[Any, ...]] = Counter()
"""How often a chunk was traced, by its static shape: part of a run's record, and held to one per shape by a test."""


class Recipe(NamedTuple):
    """What decides compilation besides the network and the shapes: what is trained, and the kind of loss."""

    trainable: Trainable = Trainable()
    loss: str = "squared"


class TrainState(NamedTuple):
    """All that training carries from update to update.

    params     the parameters as they are, not averaged
    optimizer  state of the optax chain
    ema        moving average of the parameters
    update     number of updates done
    failed     an update was not finite; nothing was done since
    at_fault   (batch,) which structures of that batch had errors that were not finite
    """

    params: Any
    optimizer: Any
    ema: EmaState
    update: Int[Array, ""]
    failed: Bool[Array, ""]
    at_fault: Bool[Array, "batch"]


class UpdateRecord(NamedTuple):
    """What is noted of an update: weighted loss terms before it, gradient norm before clipping, learning rate."""

    loss: Float[Array, ""]
    energy: Float[Array, ""]
    forces: Float[Array, ""]
    stress: Float[Array, ""]
    gradient_norm: Float[Array, ""]
    learning_rate: Float[Array, ""]


def init_state(params: Any, trainable: Trainable, hyper: Hyperparameters, batch_size: int) -> TrainState:
    """The state before the first update; copies ``params``, since a chunk of updates overwrites what it is given."""
    params = jax.tree.map(lambda leaf: jnp.array(leaf, copy=True), params)
    optimizer = make_optimizer(hyper, label_parameters(params, trainable), rate_factors(params, trainable))
    return TrainState(
        params=params,
        optimizer=optimizer.init(params),
        ema=init_ema(params),
        update=jnp.zeros((), jnp.int32),
        failed=jnp.zeros((), bool),
        at_fault=jnp.zeros(batch_size, bool),
    )


def batch_loss(
    network: nn.Module, kind: str, params: Any, graph: Graph, targets: Targets, hyper: Hyperparameters
) -> tuple[Float[Array, ""], LossTerms]:
    """Loss of a batch under given parameters, and its terms. Pure and differentiable in ``params``."""
    terms = loss_terms(predict(network, merge_lora(params), graph), targets, graph.structure, kind, hyper.loss)
    return terms.total, terms


def one_update(
    network: nn.Module, recipe: Recipe, hyper: Hyperparameters, state: TrainState, graph: Graph, targets: Targets
) -> tuple[TrainState, UpdateRecord]:
    """One update of the parameters from one batch; a state that marks a failure where anything in it is not finite."""
    labels = label_parameters(state.params, recipe.trainable)
    optimizer = make_optimizer(hyper, labels, rate_factors(state.params, recipe.trainable))
    gradient_of = jax.value_and_grad(
        lambda params: batch_loss(network, recipe.loss, params, graph, targets, hyper), has_aux=True
    )
    (loss, terms), gradient = gradient_of(state.params)
    steps, optimizer_state = optimizer.update(gradient, state.optimizer, state.params)
    params = optax.apply_updates(state.params, steps)
    norm = _norm_of_trained(gradient, labels)
    finite = jnp.isfinite(loss) & jnp.isfinite(norm) & jnp.isfinite(_norm_of_trained(params, labels))
    after = TrainState(
        params=params,
        optimizer=optimizer_state,
        ema=update_ema(params, state.ema, hyper.ema_decay),
        update=state.update + 1,
        failed=state.failed,
        at_fault=state.at_fault,
    )
    stopped = state._replace(failed=jnp.ones_like(state.failed), at_fault=~terms.finite)
    record = UpdateRecord(loss, terms.energy, terms.forces, terms.stress, norm, learning_rate_at(hyper, state.update))
    return jax.tree.map(lambda good, bad: jnp.where(finite, good, bad), after, stopped), record


def chunk_of_updates(
    network: nn.Module,
    recipe: Recipe,
    hyper: Hyperparameters,
    state: TrainState,
    graphs: Graph,
    targets: Targets,
    count: Int[Array, ""],
) -> tuple[TrainState, UpdateRecord]:
    """One update for each of the first ``count`` batches, fewer where the wanted number is reached or one fails.

    Records of updates that were not done are zero. Pure: ``vmap`` over hyperparameters and state trains a population.
    """

    def body(state: TrainState, batch: tuple[Int[Array, ""], Graph, Targets]) -> tuple[TrainState, UpdateRecord]:
        place, graph, of_graph = batch
        nothing = UpdateRecord(*(jnp.zeros_like(hyper.learning_rate) for _ in UpdateRecord._fields))

        def skip() -> tuple[TrainState, UpdateRecord]:
            return state, nothing

        def update_if_wanted() -> tuple[TrainState, UpdateRecord]:
            wanted = (state.update < hyper.updates) & ~state.failed
            return jax.lax.cond(wanted, lambda: one_update(network, recipe, hyper, state, graph, of_graph), skip)

        # apart from what differs between members: under vmap that becomes a choice between two results, both of which are computed
        return jax.lax.cond(place < count, update_if_wanted, skip)

    return jax.lax.scan(body, state, (jnp.arange(len(targets.energies)), graphs, targets))


@partial(compiled, static_argnames=("network", "recipe"), donate_argnames="states")
def compiled_chunk(
    network: nn.Module,
    recipe: Recipe,
    hypers: Hyperparameters,
    states: TrainState,
    graphs: Graph,
    targets: Targets,
    count: Int[Array, ""],
) -> tuple[TrainState, UpdateRecord]:
    """``chunk_of_updates`` of K members, compiled once per network, recipe, shapes and precision. ``states`` is overwritten.

    Everything but ``count`` has a first axis of length K; records come back as (K, batches).
    """
    COMPILATIONS[(network, recipe, graphs.senders.shape, graphs.positions.shape, str(graphs.positions.dtype))] += 1

    def chunk(
        hyper: Hyperparameters, state: TrainState, graph: Graph, of_graph: Targets
    ) -> tuple[TrainState, UpdateRecord]:
        return chunk_of_updates(network, recipe, hyper, state, graph, of_graph, count)

    return _over_members(chunk, hypers, states, graphs, targets)


@partial(compiled, static_argnames=("network", "recipe"))
def compiled_losses(
    network: nn.Module, recipe: Recipe, hypers: Hyperparameters, params: Any, graphs: Graph, targets: Targets
) -> Float[Array, "members"]:
    """Loss of K members over the same batches, as one mean over their structures; no gradients of parameters."""

    def loss(hyper: Hyperparameters, of_member: Any) -> Float[Array, ""]:
        def of_batch(batch: tuple[Graph, Targets]) -> tuple[Array, Array]:
            total, _ = batch_loss(network, recipe.loss, of_member, *batch, hyper)
            return total, (batch[1].n_atoms > 0).sum()

        totals, counts = jax.lax.map(of_batch, (graphs, targets))
        return (totals * counts).sum() / counts.sum()

    return _over_members(loss, hypers, params)


def _over_members(function: Any, *arguments: Any) -> Any:
    """``vmap`` over the first axis; without it where that has length 1, which leaves branches branches."""
    if jax.tree.leaves(arguments)[0].shape[0] > 1:
        return jax.vmap(function)(*arguments)
    alone = function(*jax.tree.map(lambda leaf: leaf[0], arguments))
    return jax.tree.map(lambda leaf: leaf[None], alone)


def _norm_of_trained(tree: Any, labels: Any) -> Float[Array, ""]:
    """Global norm over the trained leaves; the gradients of frozen ones stay unused, so the compiler drops them."""
    pairs = zip(jax.tree.leaves(tree), jax.tree.leaves(labels), strict=True)
    return optax.tree.norm([leaf for leaf, label in pairs if label == TRAINED])
