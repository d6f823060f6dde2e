"""What a fine-tune gives: a potential with its provenance, the history of its losses, and why it stopped early if it did."""

from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Int

from jaxft.finetune.lora import merge_lora
from jaxft.finetune.offset import CompositionOffset
from jaxft.finetune.step import UpdateRecord
from jaxft.finetune.training import Trained, best_check, checks_until_end
from jaxft.potential.potential import Potential


@dataclass(frozen=True)
class Failure:
    """Why a fit stopped early.

    update      number of the update that was not finite, counted from 0; all before it were done
    structures  numbers of the structures at fault within the data (replay structures count on from there); the whole batch
                where no single one is
    reason      one sentence
    """

    update: int
    structures: tuple[int, ...]
    reason: str


@dataclass(frozen=True)
class FitResult:
    """What a fine-tune gives.

    potential    parameters averaged (EMA): with validation structures those of the best check, which may be the start; without, the
                 last ones, or where training failed the best by training loss. Reference energies of the base plus offset;
                 provenance
    offset       the energy offset of this model
    history      field of UpdateRecord → (updates done,) values
    validation   (checks,) validation losses at the start and after each chunk of updates; empty without validation structures
    checked_at   (checks,) updates done at each of them
    best_update  updates done when the parameters that are handed back were reached
    failure      None where all updates were done; else why not
    """

    potential: Potential
    offset: CompositionOffset
    history: dict[str, Float[np.ndarray, "updates"]]
    validation: Float[np.ndarray, "checks"]
    checked_at: Int[np.ndarray, "checks"]
    best_update: int
    failure: Failure | None


def result_of(
    trained: Trained,
    member: int,
    start: Potential,
    base: Potential,
    offset: CompositionOffset,
    n_labels: int,
    identity: dict[str, Any],
    chunk: int,
    patience: int | None,
) -> FitResult:
    """The potential and the history of one member, until its patience ended.

    identity: what decides the outcome; chunk: updates between checks.
    """
    progress = trained.progress
    state = jax.tree.map(lambda leaf: leaf[member], progress.states)
    updates = int(state.update)
    checks = progress.checks[:, member]
    failure = _failure(trained, member, n_labels)
    if patience is not None:
        checks = checks[: checks_until_end(progress.checks, member, patience)]
        last = (len(checks) - 1) * chunk
        if updates >= last:
            # beyond, it was trained for the sake of the others
            updates, failure = last, None
    if failure is not None:
        # later checks, for the sake of the others, say nothing new of it
        checks = checks[: updates // chunk + 2]
    kept, best_update = state.ema.average, updates
    if trained.validated or failure is not None:
        kept = jax.tree.map(lambda leaf: leaf[member], progress.best)
        best_update = min(best_check(progress.checks, member) * chunk, updates)
    provenance = {
        "source": "jaxft fine-tune",
        **identity,
        "base": dict(base.provenance),
        "n_labels": n_labels,
        "updates_done": updates,
        "best_update": best_update,
        "failure": None if failure is None else failure.reason,
        "offset": offset.to_json(),
    }
    params = jax.tree.map(np.array, merge_lora(kept))
    history = progress.history[:updates, member].T
    return FitResult(
        potential=replace(start, params=params, provenance=provenance),
        offset=offset,
        history=dict(zip(UpdateRecord._fields, history, strict=True)),
        validation=checks if trained.validated else np.zeros(0),
        checked_at=np.minimum(chunk * np.arange(len(checks) if trained.validated else 0), updates),
        best_update=best_update,
        failure=failure,
    )


def _failure(trained: Trained, member: int, n_labels: int) -> Failure | None:
    states = trained.progress.states
    if not bool(states.failed[member]):
        return None
    update = int(states.update[member])
    batch = trained.plan.structures[member, update]
    at_fault = np.asarray(states.at_fault[member])
    structures = tuple(int(k) for k in sorted(batch[at_fault] if at_fault.any() else batch))
    whose = "the errors" if at_fault.any() else "the gradient"
    named = ", ".join(str(k) if k < n_labels else f"{k - n_labels} of the replay set" for k in structures)
    epoch = update * int((batch < n_labels).sum()) // n_labels
    return Failure(
        update,
        structures,
        f"{whose} of structure{'s' * (len(structures) > 1)} {named} not finite in update {update} (epoch {epoch})",
    )
