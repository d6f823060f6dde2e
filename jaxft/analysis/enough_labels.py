"""Are there enough labels? By the rule of protocol 5: yes when drift and force RMSE stay unchanged for two stages.

Unchanged means within twice the standard error of the change, so that the smallest change that could have been seen is said
with it: noise is not a reason to stop.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from jaxft.analysis.arms import arms
from jaxft.analysis.estimate import Estimate
from jaxft.analysis.finding import TOLD_APART, Finding
from jaxft.analysis.residuals import ModelResult, Residuals
from jaxft.analysis.wording import in_mev, number, with_error

QUESTION = "Are there enough labels?"

STAGES = 2


@dataclass(frozen=True)
class Change:
    """Of a score between two stages, in meV; ``error`` None where it can't be told."""

    score: str
    unit: str
    before: str
    after: str
    value: float | None
    error: float | None

    @property
    def seen(self) -> bool | None:
        """Whether it changed; None where it can't be told."""
        if self.value is None or self.error is None:
            return None
        return abs(self.value) > TOLD_APART * self.error


def enough_labels(result: Residuals) -> Finding:
    """Strategy by strategy."""
    answers, sentences, numbers = [], [], {}
    for strategy, models in arms(result.models).items():
        changes = last_changes(models)
        answers.append(f"{strategy}: {_answer(models, changes)}")
        sentences += [f"{strategy}, {_sentence(change)}" for change in changes]
        for change in changes:
            name = f"{strategy}: change of {change.score} from {change.before} to {change.after}, {change.unit}"
            numbers[name] = change.value
            numbers[f"{name}, standard error"] = change.error
    if not answers:
        return Finding(QUESTION, "can't be told: no fine-tuned model has been tested", (), {})
    rule = (
        "The rule: enough when drift and force RMSE stay unchanged for two stages, that is within "
        f"{TOLD_APART:g} standard errors of the change."
    )
    return Finding(QUESTION, "; ".join(answers), (rule, *sentences), numbers)


def last_changes(models: Sequence[ModelResult]) -> list[Change]:
    """Of drift and force RMSE over the last two stages of a strategy; fewer where there are fewer models."""
    last = list(models)[-(STAGES + 1) :]
    return [
        _change(score, unit, before, after, read(before), read(after))
        for score, unit, read in (
            ("drift", "meV/atom", lambda m: m.scores.drift.drift),
            ("force RMSE", "meV/Å", lambda m: m.scores.forces.rmse),
        )
        for before, after in pairwise(last)
    ]


def _change(
    score: str, unit: str, before: ModelResult, after: ModelResult, first: Estimate, second: Estimate
) -> Change:
    value = None if first.value is None or second.value is None else second.value - first.value
    error = None
    if first.error is not None and second.error is not None:
        error = (first.error**2 + second.error**2) ** 0.5
    return Change(score, unit, before.name, after.name, in_mev(value), in_mev(error))


def _answer(models: Sequence[ModelResult], changes: Sequence[Change]) -> str:
    if len(models) <= STAGES:
        return f"can't be told from {len(models)} tested budget{'s' * (len(models) != 1)}, the rule needs {STAGES + 1}"
    if any(change.seen for change in changes):
        return "not enough by the rule"
    if any(change.seen is None for change in changes):
        return "can't be told, scores without error bars"
    return f"enough by the rule, as far as these tests can see{_still(models[-1])}"


def _still(model: ModelResult) -> str:
    """What no further label of the kind will mend."""
    drift = model.scores.drift.drift
    if drift.value is None or drift.error is None or abs(drift.value) <= TOLD_APART * drift.error:
        return ""
    return f" (and the drift is still {with_error(in_mev(drift.value), in_mev(drift.error), signed=True)} meV/atom)"


def _sentence(change: Change) -> str:
    text = f"{change.before} → {change.after}: {change.score} {with_error(change.value, change.error, signed=True)} {change.unit}"
    if change.value is None:
        return f"{text}, not measured for both."
    if change.error is None:
        return f"{text}, without an error bar (tests too short)."
    if change.seen:
        return f"{text}, a change."
    return (
        f"{text}, unchanged; a change below {number(TOLD_APART * change.error)} {change.unit} would not have been seen."
    )
