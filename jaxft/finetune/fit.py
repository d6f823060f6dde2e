"""The host loop of a fine-tune: check, fit the offset, train a fixed number of updates, hand back a potential.

``parent`` is where the weights start (the base, or an earlier fine-tune); ``base`` is the unmodified potential that
the energy offset is measured from. How the structures were chosen, and where labels came from, is not known here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from jaxft.errors import InputError
from jaxft.finetune.batches import batch_plan, shape_for
from jaxft.finetune.check_labels import check_labels
from jaxft.finetune.fingerprint import hash_labels, hash_potential
from jaxft.finetune.offset import CompositionOffset, fit_offset
from jaxft.finetune.optimizer import hyperparameters
from jaxft.finetune.predict_set import predict_set
from jaxft.finetune.resume import Progress, load_progress, save_progress
from jaxft.finetune.settings import FinetuneSettings
from jaxft.finetune.step import TrainState, UpdateRecord, compiled_chunk, init_state
from jaxft.finetune.training_set import build_training_set, take_batches
from jaxft.potential.potential import Potential, cast_parameters
from jaxft.structures.dataset import LabelledStructure

CHUNK = 50
"""Updates per compiled call: the host costs nothing beside it, and a progress bar and a checkpoint come often."""


class Advance(NamedTuple):
    """What a progress callback is told: updates done, updates wanted, mean loss of the last chunk."""

    update: int
    updates: int
    loss: float


@dataclass(frozen=True)
class Failure:
    """Why a fit stopped early.

    update      number of the update that was not finite, counted from 0; all before it were done
    structures  numbers of the structures at fault within the data; the whole batch where no single one is
    reason      one sentence
    """

    update: int
    structures: tuple[int, ...]
    reason: str


@dataclass(frozen=True)
class FitResult:
    """What a fine-tune gives.

    potential  parameters averaged (EMA), reference energies of the base plus offset, provenance
    offset     the energy offset of this model
    history    field of UpdateRecord → (updates done,) values
    failure    None where all updates were done; else why not, and ``potential`` holds the last finite parameters
    """

    potential: Potential
    offset: CompositionOffset
    history: dict[str, Float[np.ndarray, "updates"]]
    failure: Failure | None


def fit(
    parent: Potential,
    data: Sequence[LabelledStructure],
    settings: FinetuneSettings,
    *,
    base: Potential | None = None,
    n_effective: float | None = None,
    dtype: str = "float32",
    chunk: int = CHUNK,
    on_progress: Callable[[Advance], None] | None = None,
    checkpoint: str | Path | None = None,
) -> FitResult:
    """Fine-tune ``parent`` on ``data``.

    base         the unmodified potential, for the energy offset; default: the parent is it
    n_effective  how many of the labels are independent, for the offset's standard error; default all
    dtype        precision of network and optimizer; ``float64`` needs JAX_ENABLE_X64=1
    chunk        updates per compiled call
    checkpoint   a file; a fit that finds its own file there goes on from it and ends with the same bits (on CPU)

    Raises InputError for labels that can't be learned from, a base of another network, a foreign checkpoint. A loss
    that is not finite raises nothing: see FitResult.failure.
    """
    base = parent if base is None else base
    if base.network != parent.network or base.atomic_numbers != parent.atomic_numbers:
        raise InputError("base and parent are different networks; expected the parent to be a fine-tune of the base")
    check_labels(data, base.atomic_numbers, need_stress=settings.weights.stress > 0.0)
    offset = _offset_from(base, data, n_effective, dtype)
    start = offset.apply(replace(parent, reference_energies=base.reference_energies))

    training_set = build_training_set(data, start, stress=settings.weights.stress > 0.0, dtype=dtype)
    plan = batch_plan(len(data), settings.batch_size, settings.updates, settings.seed)
    shape = shape_for(training_set, plan)
    hyper = hyperparameters(settings, dtype)
    state = init_state(cast_parameters(start.params, dtype), settings.method, hyper, shape.n_structures)
    identity = _identity(parent, base, data, settings, offset, dtype)
    progress = Progress(state, np.zeros((0, len(UpdateRecord._fields))))
    if checkpoint is not None:
        progress = load_progress(checkpoint, state, {**identity, "chunk": chunk}) or progress

    while not _finished(progress.state, settings.updates):
        first = int(progress.state.update)
        chosen = plan[np.minimum(np.arange(first, first + chunk), settings.updates - 1)]
        graphs, targets = take_batches(training_set, chosen, shape)
        state, records = compiled_chunk(start.network, settings.method, hyper, progress.state, graphs, targets)
        done = int(state.update) - first
        rows = np.stack([np.asarray(column, np.float64) for column in records], axis=1)[:done]
        progress = Progress(state, np.concatenate([progress.history, rows]))
        if checkpoint is not None:
            save_progress(checkpoint, progress, {**identity, "chunk": chunk})
        if on_progress is not None:
            loss = float(rows[:, 0].mean()) if done else float("nan")
            on_progress(Advance(int(state.update), settings.updates, loss))

    failure = _failure(progress.state, plan)
    params = jax.tree.map(np.array, progress.state.ema.average)
    return FitResult(
        potential=replace(
            start, params=params, provenance=_provenance(identity, base, offset, data, failure, progress.state)
        ),
        offset=offset,
        history=dict(zip(UpdateRecord._fields, progress.history.T, strict=True)),
        failure=failure,
    )


def _offset_from(
    base: Potential, data: Sequence[LabelledStructure], n_effective: float | None, dtype: str
) -> CompositionOffset:
    structures = [item.atoms for item in data]
    labels = np.array([float(item.energy) for item in data])
    return fit_offset(structures, labels - predict_set(base, structures, dtype=dtype).energies, n_effective)


def _finished(state: TrainState, updates: int) -> bool:
    return bool(state.failed) or int(state.update) >= updates


def _failure(state: TrainState, plan: Int[np.ndarray, "updates batch"]) -> Failure | None:
    if not bool(state.failed):
        return None
    update = int(state.update)
    at_fault = np.asarray(state.at_fault)
    structures = tuple(int(k) for k in sorted(plan[update][at_fault] if at_fault.any() else plan[update]))
    whose = "the errors" if at_fault.any() else "the gradient"
    named = ", ".join(str(k) for k in structures)
    return Failure(
        update, structures, f"{whose} of structure{'s' * (len(structures) > 1)} {named} not finite in update {update}"
    )


def _identity(
    parent: Potential,
    base: Potential,
    data: Sequence[LabelledStructure],
    settings: FinetuneSettings,
    offset: CompositionOffset,
    dtype: str,
) -> dict[str, Any]:
    """What decides the outcome, as plain JSON: the same on every machine."""
    return {
        "parent_sha256": hash_potential(parent),
        "base_sha256": hash_potential(base),
        "labels_sha256": hash_labels(data),
        "settings": settings.to_json(),
        "n_effective": offset.n_effective,
        "dtype": dtype,
    }


def _provenance(
    identity: dict[str, Any],
    base: Potential,
    offset: CompositionOffset,
    data: Sequence[LabelledStructure],
    failure: Failure | None,
    state: TrainState,
) -> dict[str, Any]:
    return {
        "source": "jaxft fine-tune",
        **identity,
        "base": dict(base.provenance),
        "n_labels": len(data),
        "updates_done": int(state.update),
        "failure": None if failure is None else failure.reason,
        "offset": offset.to_json(),
    }
