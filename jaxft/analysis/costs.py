"""What a run cost: labels for training and for evaluation apart, with their CPU time; updates; steps of dynamics.

Labels are known by their energies, which a store and the files of a run share digit by digit, so that a store of many runs
gives the cost of this one. Times are those that the store remembers, whoever paid for them first.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from jaxft.analysis.residuals import Residuals
from jaxft.labels.label import Label
from jaxft.labels.store import LabelStore


@dataclass(frozen=True)
class LabelCost:
    """Labels bought for one purpose.

    labels   different ones
    timed    of them, those whose times the store knows
    cpu_s, wall_s   sums over those, s
    """

    purpose: str
    labels: int
    timed: int
    cpu_s: float
    wall_s: float


@dataclass(frozen=True)
class Steps:
    """Steps of one trajectory, replicas and seeds counted each; equilibration of boxes before the first leg is not in it."""

    sampling: int
    tests: int


def label_costs(store: LabelStore, energies: Mapping[str, Iterable[float]]) -> list[LabelCost]:
    """By purpose. energies: reference energies (eV) of all labels that a purpose needed; repeats count once."""
    known = {stored.entry.energy: stored.entry.cost for stored in store.entries() if isinstance(stored.entry, Label)}
    found = []
    for purpose, values in energies.items():
        different = sorted(set(values))
        costs = [known[value] for value in different if value in known]
        timed = [cost for cost in costs if cost.cpu_s is not None]
        found.append(
            LabelCost(
                purpose,
                labels=len(different),
                timed=len(timed),
                cpu_s=sum(cost.cpu_s or 0.0 for cost in timed),
                wall_s=sum(cost.wall_s or 0.0 for cost in timed),
            )
        )
    return found


def steps_of(result: Residuals, timestep_fs: float, equilibrate_fs: float) -> Steps:
    """Steps that were made, as far as the record knows: sampling stretches, and tests with their equilibration."""
    sampling = sum(stretch.equilibration_fs + stretch.production_fs for stretch in result.sampling)
    tests = sum(
        equilibrate_fs + (series.length_fs if series.stopped is None else series.stopped.time_fs)
        for model in result.models
        for series in model.seeds
    )
    return Steps(round(sampling / timestep_fs), round(tests / timestep_fs))


def seconds_by_kind(lines: Sequence[tuple[str, float]]) -> dict[str, float]:
    """Sums of (kind, seconds) in the order of first appearance."""
    found: dict[str, float] = {}
    for kind, seconds in lines:
        found[kind] = found.get(kind, 0.0) + seconds
    return found
