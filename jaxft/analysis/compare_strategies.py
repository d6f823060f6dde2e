"""Which strategy looks better, and how sure that is: scores 2 to 6 of both at the largest budget that both have (protocol 5, 10).

One run is one pipeline for each strategy, so that nothing here is a spread between pipelines: errors are those of the tests of
this run alone, and there is no p-value. Score 1 is shown for comparison with the paper and decides nothing.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jaxft.analysis.arms import arms
from jaxft.analysis.cross import CrossRecord
from jaxft.analysis.finding import TOLD_APART, Finding
from jaxft.analysis.residuals import ModelResult, Residuals
from jaxft.analysis.wording import in_mev, in_ps, with_error
from jaxft.stats.paired import PAIRS_FOR_P

QUESTION = "Which strategy looks better, and how sure is that?"


@dataclass(frozen=True)
class Score:
    """One score of one model, in the unit that readers see.

    smaller   whether a smaller value is better
    complete  a survival in which no test ended: the best there is, and without an error
    """

    name: str
    unit: str
    value: float | None
    error: float | None
    smaller: bool = True
    complete: bool = False


def compare_strategies(result: Residuals, cross: CrossRecord | None) -> Finding:
    """The first two strategies against each other."""
    tested = arms(result.models)
    if len(tested) < 2:
        only = ", ".join(tested) or "none"
        return Finding(QUESTION, "can't be told", (f"Only one strategy has tested models ({only}).",), {})
    names = list(tested)[:2]
    common = sorted({m.budget for m in tested[names[0]]} & {m.budget for m in tested[names[1]]})
    if not common:
        return Finding(QUESTION, "can't be told", ("The strategies have no tested models of equal budgets yet.",), {})
    pair = [next(m for m in tested[name] if m.budget == common[-1]) for name in names]
    training = tuple(_training(tested, common[-1], result.settings))
    return _compare(names, pair, common[-1], cross, result.demonstration, training)


def better_of(first: Score, second: Score) -> int | None:
    """Which of two is better: 0 or 1; None where the difference is within twice its standard error, or has none."""
    if first.value is None or second.value is None or first.error is None or second.error is None:
        return None
    gap = first.value - second.value
    if abs(gap) <= TOLD_APART * (first.error**2 + second.error**2) ** 0.5:
        return None
    return int(gap > 0) if first.smaller else int(gap < 0)


def scores_of(model: ModelResult, cross: CrossRecord | None) -> Iterator[Score]:
    """Scores 2 to 6 of a model. Drift counts by its size, whatever its sign."""
    s = model.scores
    drift = s.drift.drift
    size = None if drift.value is None else abs(drift.value)
    yield Score("size of the drift", "meV/atom", in_mev(size), in_mev(drift.error))
    yield Score("SD of the residual", "meV/atom", in_mev(s.spread.sd.value), in_mev(s.spread.sd.error))
    yield Score("force RMSE on own frames", "meV/Å", in_mev(s.forces.rmse.value), in_mev(s.forces.rmse.error))
    survival = s.survival
    yield Score(
        "survival in its own tests",
        "ps",
        in_ps(survival.mean_fs),
        in_ps(survival.mean_error_fs),
        False,
        not survival.n_ended,
    )
    distance = next((d for d in cross.distances if d.model == model.name), None) if cross is not None else None
    if distance is not None:
        yield Score("distance to the reference ensemble", "kT of the box", distance.distance, distance.error)


def _compare(
    names: list[str],
    pair: list[ModelResult],
    budget: int,
    cross: CrossRecord | None,
    demonstration: bool,
    training: Sequence[str],
) -> Finding:
    sentences, wins, numbers = [], Counter[int](), {}
    both = list(zip(*(scores_of(model, cross) for model in pair), strict=False))
    for first, second in both:
        better = better_of(first, second)
        if better is not None:
            wins[better] += 1
        sentences.append(_sentence(names, first, second, better))
        for name, score in zip(names, (first, second), strict=True):
            numbers[f"{name}: {score.name}, {score.unit}"] = score.value
            numbers[f"{name}: {score.name}, standard error"] = score.error
    head = f"At {budget} labels ({pair[0].name} and {pair[1].name}), ± the standard error of this run's tests:"
    plateaus = [model.scores.plateau.residual for model in pair]
    shown = " and ".join(
        f"{with_error(in_mev(p.value), in_mev(p.error), signed=True)} meV/atom ({name})"
        for name, p in zip(names, plateaus, strict=True)
    )
    tail = [
        *training,
        f"Plateaus, for comparison with the paper only: {shown}.",
        "This run is one pipeline of each strategy, one pair. The errors above are those of its tests, not the spread between "
        f"pipelines, so there is no interval and no p-value for the strategies; at least {PAIRS_FOR_P} runs with different "
        "seeds are needed for one.",
    ]
    if demonstration:
        tail.append("This run is a demonstration: it is evidence neither for nor against a strategy.")
    answer = _answer(names, wins, len(both))
    return Finding(QUESTION, answer, (head, *sentences, *tail), numbers)


def _training(tested: Mapping[str, Sequence[ModelResult]], budget: int, settings: Mapping[str, Any]) -> Iterator[str]:
    """That a chain of fine-tunes has been trained longer, where the record tells: a difference need not be the labels'."""
    links = sum(model.budget <= budget for model in tested.get("periodic", ()))
    if settings.get("periodic", {}).get("weights_from") != "parent" or links < 2:
        return
    updates = settings["finetune"]["updates"]
    yield (
        f"Updates are equal per model (up to {updates}), but the periodic model goes on from its parents and has had up to "
        f"{links * updates} in all: part of a difference may be training, not labels (periodic.weights_from: base tells)."
    )


def _answer(names: list[str], wins: Counter[int], compared: int) -> str:
    if not wins:
        return f"can't be told: no score of {compared} tells them apart, and this is one pair of pipelines"
    if len(wins) == 2:
        return f"neither throughout: {names[0]} on {wins[0]}, {names[1]} on {wins[1]} of {compared} scores; one pair of pipelines"
    which = next(iter(wins))
    return (
        f"{names[which]} in this run, on {wins[which]} of {compared} scores, {names[1 - which]} on none; "
        "not sure, since this is one pair of pipelines"
    )


def _sentence(names: list[str], first: Score, second: Score, better: int | None) -> str:
    values = " and ".join(
        f"{with_error(score.value, score.error)} ({name})" for name, score in zip(names, (first, second), strict=True)
    )
    if better is not None:
        said = f"{names[better]} is better"
    elif first.complete and second.complete:
        said = "no test of either ended, so not told apart"
    elif first.value is None or second.value is None:
        said = "not measured for both"
    elif first.error is None or second.error is None:
        said = "no error bar for both, so not told apart"
    else:
        said = f"within {TOLD_APART:g} standard errors of the difference, so not told apart"
    return f"{first.name}: {values} {first.unit}; {said}."
