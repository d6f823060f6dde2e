"""The host loop of training: chunk after chunk, a check of the loss for each, a checkpoint behind each.

K members train side by side; one is the usual case. Whether training stops, which parameters are the best and how far the
learning rate has come down are functions of the losses that the checks gave, so resuming needs no state of their own.

A check is the loss of the averaged parameters on the validation structures: at the start, and after each chunk. Without these it
is the mean loss of the updates of a chunk, which stands for the parameters that the chunk began with; it is looked at only where
training failed, and costs nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jaxtyping import Float, Int

from jaxft.finetune.batches import BatchPlan, bucketed, in_order
from jaxft.finetune.optimizer import Hyperparameters, hyperparameters
from jaxft.finetune.resume import Progress, load_progress, save_progress
from jaxft.finetune.settings import FinetuneSettings
from jaxft.finetune.step import Recipe, UpdateRecord, compiled_chunk, compiled_losses, init_state
from jaxft.finetune.trainable import trainable_of, tree_to_train
from jaxft.finetune.training_set import TrainingSet, take_batches

VALIDATION_BATCH = 8
"""Structures that a check looks at together, or as many as an update does."""

PLATEAU_CHECKS = 5
PLATEAU_FACTOR = 0.5


class Advance(NamedTuple):
    """What a progress callback is told: updates done, updates wanted, mean loss of the last chunk, validation losses.

    validation  (members,) of the last check; None where there are no validation structures
    """

    update: int
    updates: int
    loss: float
    validation: Float[np.ndarray, "members"] | None = None


@dataclass(frozen=True)
class Training:
    """What is trained on what.

    network     of all members
    params      where each member starts
    settings    of each member; they differ in traced numbers and seeds only
    structures  (members, updates, batch) the batches that each member sees
    data        labels, and replay structures behind them
    validation  structures whose loss decides which parameters are kept; None: the last ones are
    dtype       of network and optimizer
    """

    network: nn.Module
    params: Sequence[Any]
    settings: Sequence[FinetuneSettings]
    structures: Int[np.ndarray, "members updates batch"]
    data: TrainingSet
    validation: TrainingSet | None
    dtype: str


@dataclass(frozen=True)
class Trained:
    """What training left.

    plan       the batches in the order in which they were done
    validated  whether the checks are validation losses
    """

    progress: Progress
    plan: BatchPlan
    validated: bool


def train(
    training: Training,
    *,
    chunk: int,
    identity: dict[str, Any],
    checkpoint: Path | None = None,
    on_progress: Callable[[Advance], None] | None = None,
) -> Trained:
    """Train all members to their last update, until each has failed, or until patience ends.

    chunk: updates per compiled call; checks of the validation loss come as often. identity: tells this training from every
    other, in its checkpoint.
    """
    settings = training.settings[0]
    plan = bucketed(training.data, training.structures, chunk)
    recipe = Recipe(trainable_of(settings), settings.loss)
    hypers = _stack([hyperparameters(one, training.dtype) for one in training.settings])
    progress = _begin(training, recipe, hypers, plan.shapes[0].n_structures)
    if checkpoint is not None:
        progress = load_progress(checkpoint, progress, identity) or progress
    validation = training.validation
    size = max(settings.batch_size, VALIDATION_BATCH)
    check_batches = None if validation is None else take_batches(validation, *in_order(validation, size))

    def checked(progress: Progress, before: int, began: Any) -> Progress:
        if check_batches is None:
            return _checked(progress, _mean_losses(progress, before), began, None)
        average = progress.states.ema.average
        losses = compiled_losses(training.network, recipe, hypers, average, *check_batches)
        return _checked(progress, np.array(losses, np.float64), average, settings.patience)

    if check_batches is not None and not len(progress.checks):
        progress = checked(progress, 0, None)
    while not _finished(progress, settings):
        before = len(progress.history)
        # a chunk overwrites its states; validation looks at what came out of it
        began = jax.tree.map(jnp.copy, progress.states.ema.average) if check_batches is None else None
        progress = _one_chunk(training, recipe, _lowered(hypers, progress, settings), plan, chunk, progress)
        progress = checked(progress, before, began)
        if checkpoint is not None:
            save_progress(checkpoint, progress, identity)
        if on_progress is not None:
            losses = progress.history[before:, :, 0]
            loss = float(losses.mean()) if losses.size else float("nan")
            latest = progress.checks[-1] if check_batches is not None else None
            on_progress(Advance(len(progress.history), settings.updates, loss, latest))
    return Trained(progress, plan, validation is not None)


def best_check(checks: Float[np.ndarray, "checks members"], member: int) -> int:
    """Number of the check whose loss is the smallest of a member; the first of several."""
    return int(np.argmin(np.where(np.isnan(checks[:, member]), np.inf, checks[:, member])))


def checks_since_best(checks: Float[np.ndarray, "checks members"]) -> Int[np.ndarray, "members"]:
    """How many checks of each member have passed without improvement."""
    return np.array([len(checks) - 1 - best_check(checks, k) for k in range(checks.shape[1])])


def checks_until_end(checks: Float[np.ndarray, "checks members"], member: int, patience: int) -> int:
    """How many checks a member has seen until its patience ended; all of them where it has not ended."""
    return min(len(checks), best_check(checks, member) + 1 + patience)


def rate_after(losses: Float[np.ndarray, "checks"], patience: int) -> float:
    """Factor on the learning rate after these checks: halved whenever ``patience`` of them brought nothing better."""
    best, since, factor = np.inf, 0, 1.0
    for loss in losses:
        best, since = (loss, 0) if loss < best else (best, since + 1)
        if since == patience:
            factor, since = factor * PLATEAU_FACTOR, 0
    return factor


def _begin(training: Training, recipe: Recipe, hypers: Hyperparameters, batch_size: int) -> Progress:
    states = []
    for k, (params, settings) in enumerate(zip(training.params, training.settings, strict=True)):
        tree = tree_to_train(params, recipe.trainable, settings.seed)
        states.append(init_state(tree, recipe.trainable, jax.tree.map(lambda leaf, k=k: leaf[k], hypers), batch_size))
    stacked = _stack(states)
    members, fields = len(states), len(UpdateRecord._fields)
    best = jax.tree.map(jnp.copy, stacked.ema.average)
    return Progress(stacked, np.zeros((0, members, fields)), np.zeros((0, members)), best)


def _one_chunk(
    training: Training, recipe: Recipe, hypers: Hyperparameters, plan: BatchPlan, chunk: int, progress: Progress
) -> Progress:
    """The next ``chunk`` updates, one call for each shape among them."""
    states, rows = progress.states, []
    first = len(progress.history)
    last = min(first + chunk, plan.structures.shape[1])
    while first < last:
        same = plan.bucket[first:last] == plan.bucket[first]
        count = int(np.argmin(same)) if not same.all() else len(same)
        shape = plan.shapes[plan.bucket[first]]
        places = np.minimum(np.arange(first, first + chunk), first + count - 1)
        chosen = plan.structures[:, places]
        flat = take_batches(training.data, chosen.reshape(-1, chosen.shape[-1]), shape)
        graphs, targets = jax.tree.map(lambda leaf, c=chosen: leaf.reshape(*c.shape[:2], *leaf.shape[1:]), flat)
        states, records = compiled_chunk(training.network, recipe, hypers, states, graphs, targets, np.int32(count))
        # columns are (members, batches)
        rows.append(np.stack([np.asarray(column, np.float64).T for column in records], axis=-1)[:count])
        first += count
    done = int(np.max(states.update)) - len(progress.history)
    return progress._replace(states=states, history=np.concatenate([progress.history, np.concatenate(rows)[:done]]))


def _checked(
    progress: Progress, losses: Float[np.ndarray, "members"], parameters: Any, patience: int | None
) -> Progress:
    """Progress after one more check, of ``parameters``.

    A member whose patience has ended trains on while others do; its loss counts no more (NaN), so that it stays what it is alone.
    """
    if patience is not None and len(progress.checks):
        losses = np.where(checks_since_best(progress.checks) >= patience, np.nan, losses)
    checks = np.concatenate([progress.checks, losses[None]])
    better = np.array([best_check(checks, k) == len(checks) - 1 for k in range(len(losses))])

    def keep(new: Any, old: Any) -> Any:
        return jnp.where(better.reshape(-1, *[1] * (new.ndim - 1)), new, old)

    return progress._replace(checks=checks, best=jax.tree.map(keep, parameters, progress.best))


def _mean_losses(progress: Progress, before: int) -> Float[np.ndarray, "members"]:
    """Mean loss of each member's updates since the ``before``-th; NaN where it has done none."""
    done = [int(update) for update in progress.states.update]
    losses = [progress.history[before:update, k, 0] for k, update in enumerate(done)]
    return np.array([one.mean() if one.size else np.nan for one in losses])


def _lowered(hypers: Hyperparameters, progress: Progress, settings: FinetuneSettings) -> Hyperparameters:
    if settings.schedule != "plateau":
        return hypers
    patience = settings.plateau_checks or PLATEAU_CHECKS
    factors = [rate_after(progress.checks[:, k], patience) for k in range(progress.checks.shape[1])]
    return replace(hypers, learning_rate=hypers.learning_rate * jnp.asarray(factors, hypers.learning_rate.dtype))


def _finished(progress: Progress, settings: FinetuneSettings) -> bool:
    ended = np.asarray(progress.states.failed) | (np.asarray(progress.states.update) >= settings.updates)
    if settings.patience is not None and len(progress.checks):
        ended |= checks_since_best(progress.checks) >= settings.patience
    return bool(ended.all())


def _stack(trees: Sequence[Any]) -> Any:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)
