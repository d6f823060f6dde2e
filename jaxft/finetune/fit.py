"""A fine-tune: check, find the energy offset, train, hand back a potential. One, or several side by side.

``parent`` is where the weights start (the base, or an earlier fine-tune); ``base`` is the unmodified potential that
the energy offset is measured from. How the structures were chosen, and where labels came from, is not known here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from jaxft.errors import InputError
from jaxft.finetune.batches import batch_plan
from jaxft.finetune.check_labels import check_labels
from jaxft.finetune.fingerprint import hash_labels, hash_potential
from jaxft.finetune.offset import CompositionOffset
from jaxft.finetune.references import check_references, offset_for
from jaxft.finetune.result import FitResult, result_of
from jaxft.finetune.settings import FinetuneSettings
from jaxft.finetune.trainable import trainable_of, tree_to_train
from jaxft.finetune.training import Advance, Training, train
from jaxft.finetune.training_set import build_training_set
from jaxft.potential.potential import Potential, cast_parameters
from jaxft.structures.dataset import LabelledStructure

CHUNK = 50
"""Updates per compiled call: the host costs nothing beside it, and a progress bar and a checkpoint come often."""


@dataclass(frozen=True)
class Extras:
    """What a fine-tune may be given beside its labels.

    weights      of the labelled structures; default 1 each
    validation   labelled structures that are not trained on: the parameters with the smallest loss on them are kept
    replay       structures with the base's own labels, which keep it from forgetting
    isolated     atomic number → energy (eV) of an isolated atom by the reference
    n_effective  how many of the labels are independent, for the offset's standard error; default all
    """

    weights: Sequence[float] | None = None
    validation: Sequence[LabelledStructure] = ()
    replay: Sequence[LabelledStructure] = ()
    isolated: Mapping[int, float] | None = None
    n_effective: float | None = None


def fit(
    parent: Potential,
    data: Sequence[LabelledStructure],
    settings: FinetuneSettings,
    *,
    base: Potential | None = None,
    extras: Extras = Extras(),
    dtype: str = "float32",
    chunk: int = CHUNK,
    on_progress: Callable[[Advance], None] | None = None,
    checkpoint: str | Path | None = None,
) -> FitResult:
    """Fine-tune ``parent`` on ``data``.

    base         the unmodified potential, for the energy offset; default: the parent is it
    dtype        precision of network and optimizer; ``float64`` needs JAX_ENABLE_X64=1
    chunk        updates per compiled call; with validation structures it is settings.validate_every
    checkpoint   a file; a fit that finds its own file there goes on from it and ends with the same bits (on CPU)

    Raises InputError for labels that can't be learned from, a base of another network, a foreign checkpoint. A loss
    that is not finite raises nothing: see FitResult.failure.
    """
    (result,) = fit_members(
        parent,
        data,
        [settings],
        base=base,
        extras=extras,
        dtype=dtype,
        chunk=chunk,
        on_progress=on_progress,
        checkpoint=checkpoint,
    )
    return result


def fit_members(
    parent: Potential,
    data: Sequence[LabelledStructure],
    settings: Sequence[FinetuneSettings],
    *,
    bootstrap: bool = False,
    base: Potential | None = None,
    extras: Extras = Extras(),
    dtype: str = "float32",
    chunk: int = CHUNK,
    on_progress: Callable[[Advance], None] | None = None,
    checkpoint: str | Path | None = None,
) -> list[FitResult]:
    """Several fine-tunes of one parent on one set, trained side by side in one program: a committee, or a population of settings.

    settings   one for each member. They may differ in learning rate, weights, Huber's δ, warm-up, decays, clipping and seed, which
               are traced, and in nothing else
    bootstrap  every member trains on a sample of the structures drawn with replacement by its seed, as many as there are

    The rest as for ``fit``. Raises InputError where members differ in a setting that is compiled in.
    """
    base = parent if base is None else base
    check_fit(parent, data, settings, base=base, extras=extras)
    common = settings[0]
    stress = any(one.weights.stress > 0.0 for one in settings)
    offset = offset_for(
        common.reference_energies,
        base,
        data,
        isolated=extras.isolated,
        n_effective=extras.n_effective,
        dtype=dtype,
    )
    start = offset.apply(replace(parent, reference_energies=base.reference_energies))
    chunk = common.validate_every if extras.validation else chunk
    identities = [_identity(parent, base, data, one, offset, extras, bootstrap, dtype) for one in settings]
    trained = train(
        Training(
            network=start.network,
            params=[cast_parameters(start.params, dtype)] * len(settings),
            settings=settings,
            structures=np.stack([_batches(one, len(data), len(extras.replay), bootstrap) for one in settings]),
            data=build_training_set(
                data, start, stress=stress, dtype=dtype, weights=extras.weights, replay=extras.replay, base=base
            ),
            validation=build_training_set(extras.validation, start, stress=stress, dtype=dtype)
            if extras.validation
            else None,
            dtype=dtype,
        ),
        chunk=chunk,
        identity={**(identities[0] if len(settings) == 1 else {"members": identities}), "chunk": chunk},
        checkpoint=None if checkpoint is None else Path(checkpoint),
        on_progress=on_progress,
    )
    return [
        result_of(trained, k, start, base, offset, len(data), identity, chunk, common.patience)
        for k, identity in enumerate(identities)
    ]


def check_fit(
    parent: Potential,
    data: Sequence[LabelledStructure],
    settings: Sequence[FinetuneSettings],
    *,
    base: Potential,
    extras: Extras = Extras(),
) -> None:
    """Everything that can be known to be wrong with a fit before any work is done: raises InputError."""
    if base.network != parent.network or base.atomic_numbers != parent.atomic_numbers:
        raise InputError("base and parent are different networks; expected the parent to be a fine-tune of the base")
    _check_common(settings)
    stress = any(one.weights.stress > 0.0 for one in settings)
    for labelled in (data, *(other for other in (extras.validation, extras.replay) if other)):
        check_labels(labelled, base.atomic_numbers, need_stress=stress)
    _check_extras(extras, data, settings[0])
    check_references(settings[0].reference_energies, data, extras.isolated)
    tree_to_train(parent.params, trainable_of(settings[0]), settings[0].seed)


TRACED = (
    "learning_rate",
    "weights",
    "huber_delta",
    "warmup_fraction",
    "weight_decay",
    "gradient_clip",
    "adam_beta2",
    "ema_decay",
)
"""Settings that members of one program may differ in, beside the seed."""


def _check_common(settings: Sequence[FinetuneSettings]) -> None:
    if not settings:
        raise InputError("there is nothing to train: expected the settings of at least one member")
    first = {**asdict(settings[0]), "replay_weight": None}
    for one in settings[1:]:
        other = {**asdict(one), "replay_weight": None}
        for name in first:
            if name not in (*TRACED, "seed") and first[name] != other[name]:
                raise InputError(
                    f"members that train side by side differ in finetune.{name} ({first[name]!r} and {other[name]!r}), which is "
                    f"compiled in; only {', '.join(TRACED)}, replay_weight and seed may differ"
                )


def _check_extras(extras: Extras, data: Sequence[LabelledStructure], settings: FinetuneSettings) -> None:
    if extras.weights is not None:
        weights = np.asarray(extras.weights, dtype=np.float64)
        if weights.shape != (len(data),) or not (np.isfinite(weights) & (weights >= 0.0)).all():
            raise InputError(
                f"weights of structures: expected {len(data)} finite numbers of at least 0, one for each structure"
            )
        if not weights.any():
            raise InputError("all structures have weight 0, so there is nothing to learn")
    if not extras.validation:
        for name, wanted in (("patience", settings.patience is not None), ("schedule", settings.schedule == "plateau")):
            if wanted:
                raise InputError(
                    f"finetune.{name} is {getattr(settings, name)!r}, which needs validation structures; set some aside, or leave "
                    "it out"
                )


def _batches(settings: FinetuneSettings, n_labels: int, n_replay: int, bootstrap: bool) -> np.ndarray:
    """(updates, batch) structure numbers: labels, then replay structures, which come behind the labels in the set."""
    plan = batch_plan(n_labels, settings.batch_size, settings.updates, settings.seed)
    if bootstrap:
        plan = np.random.default_rng([settings.seed, n_labels]).integers(n_labels, size=n_labels).astype(np.int32)[plan]
    if n_replay == 0:
        return plan
    replay = batch_plan(n_replay, settings.replay_batch, settings.updates, settings.seed + 1)
    return np.concatenate([plan, n_labels + replay], axis=1)


def _identity(
    parent: Potential,
    base: Potential,
    data: Sequence[LabelledStructure],
    settings: FinetuneSettings,
    offset: CompositionOffset,
    extras: Extras,
    bootstrap: bool,
    dtype: str,
) -> dict[str, Any]:
    """What decides the outcome, as plain JSON: the same on every machine."""
    more: dict[str, Any] = {
        name: hash_labels(labelled)
        for name, labelled in (("validation_sha256", extras.validation), ("replay_sha256", extras.replay))
        if labelled
    }
    if extras.weights is not None:
        more["weights"] = [float(weight) for weight in extras.weights]
    if bootstrap:
        more["bootstrap"] = True
    if settings.reference_energies == "isolated":
        more["isolated_ev"] = {str(z): float(energy) for z, energy in sorted((extras.isolated or {}).items())}
    return {
        "parent_sha256": hash_potential(parent),
        "base_sha256": hash_potential(base),
        "labels_sha256": hash_labels(data),
        "settings": settings.to_json(),
        "n_effective": offset.n_effective,
        "dtype": dtype,
        **more,
    }
