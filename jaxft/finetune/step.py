"""The compiled part of training: a chunk of updates in one program, and what stops it.

This is the only place of the room that compiles training. Traced: state, hyperparameters, batches. Static: the
network's settings, the method and the shapes; only a change of those compiles anew. A loss that is not finite is
data: the state keeps the last good parameters, notes which structures of the batch were at fault, and ignores all
later updates.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from jaxtyping import Array, Bool, Float, Int

from jaxft.finetune.ema import EmaState, init_ema, update_ema
from jaxft.finetune.loss import LossTerms, Targets, loss_terms
from jaxft.finetune.optimizer import Hyperparameters, learning_rate_at, make_optimizer
from jaxft.finetune.trainable import TRAINED, label_parameters
from jaxft.potential.derivatives import predict
from jaxft.structures.graph import Graph


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


def init_state(params: Any, method: str, hyper: Hyperparameters, batch_size: int) -> TrainState:
    """The state before the first update; copies ``params``, since a chunk of updates overwrites what it is given."""
    params = jax.tree.map(lambda leaf: jnp.array(leaf, copy=True), params)
    optimizer = make_optimizer(hyper, label_parameters(params, method))
    return TrainState(
        params=params,
        optimizer=optimizer.init(params),
        ema=init_ema(params),
        update=jnp.zeros((), jnp.int32),
        failed=jnp.zeros((), bool),
        at_fault=jnp.zeros(batch_size, bool),
    )


def batch_loss(
    network: nn.Module, params: Any, graph: Graph, targets: Targets, hyper: Hyperparameters
) -> tuple[Float[Array, ""], LossTerms]:
    """Loss of a batch under given parameters, and its terms. Pure and differentiable in ``params``."""
    terms = loss_terms(
        predict(network, params, graph),
        targets,
        graph.structure,
        energy_weight=hyper.energy_weight,
        forces_weight=hyper.forces_weight,
        stress_weight=hyper.stress_weight,
    )
    return terms.total, terms


def one_update(
    network: nn.Module, method: str, hyper: Hyperparameters, state: TrainState, graph: Graph, targets: Targets
) -> tuple[TrainState, UpdateRecord]:
    """One update of the parameters from one batch; a state that marks a failure where anything in it is not finite."""
    labels = label_parameters(state.params, method)
    optimizer = make_optimizer(hyper, labels)
    gradient_of = jax.value_and_grad(lambda params: batch_loss(network, params, graph, targets, hyper), has_aux=True)
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
    method: str,
    hyper: Hyperparameters,
    state: TrainState,
    graphs: Graph,
    targets: Targets,
) -> tuple[TrainState, UpdateRecord]:
    """As many updates as there are batches along the first axis, fewer where the wanted number is reached or one fails.

    Records of updates that were not done are zero. Pure: ``vmap`` over hyperparameters and state trains a population.
    """

    def body(state: TrainState, batch: tuple[Graph, Targets]) -> tuple[TrainState, UpdateRecord]:
        nothing = UpdateRecord(*(jnp.zeros_like(hyper.learning_rate) for _ in UpdateRecord._fields))
        wanted = (state.update < hyper.updates) & ~state.failed
        return jax.lax.cond(
            wanted,
            lambda: one_update(network, method, hyper, state, *batch),
            lambda: (state, nothing),
        )

    return jax.lax.scan(body, state, (graphs, targets))


@partial(jax.jit, static_argnames=("network", "method"), donate_argnames="state")
def compiled_chunk(
    network: nn.Module,
    method: str,
    hyper: Hyperparameters,
    state: TrainState,
    graphs: Graph,
    targets: Targets,
) -> tuple[TrainState, UpdateRecord]:
    """``chunk_of_updates``, compiled once per network, method, shapes and precision. ``state`` is overwritten."""
    return chunk_of_updates(network, method, hyper, state, graphs, targets)


def _norm_of_trained(tree: Any, labels: Any) -> Float[Array, ""]:
    """Global norm over the trained leaves; the gradients of frozen ones stay unused, so the compiler drops them."""
    pairs = zip(jax.tree.leaves(tree), jax.tree.leaves(labels), strict=True)
    return optax.tree.norm([leaf for leaf, label in pairs if label == TRAINED])
