"""What a study would cost, counted before anything is run: steps of dynamics, updates, labels for training and for evaluation."""

from dataclasses import dataclass
from math import ceil

from jaxft.analysis.event_check import LENGTH_FS
from jaxft.study.settings import StudySettings


@dataclass(frozen=True)
class Plan:
    """Counts of one study, all arms together.

    models             tested models, the base among them
    training_labels    bought for training, if none is refused
    evaluation_labels  bought for tests
    event_labels       bought for checks of events, if there are as many events as may be checked
    md_steps           steps of one trajectory, replicas counted each
    updates            parameter updates of the models
    committee_updates  those of the members of the committees, which the last model of each arm has
    """

    models: int
    training_labels: int
    evaluation_labels: int
    event_labels: int
    md_steps: int
    updates: int
    committee_updates: int


def plan(settings: StudySettings) -> Plan:
    """Count what the study will do."""
    arms, rounds = len(settings.strategies), len(settings.budgets)
    models = arms * rounds + 1
    per_frame = settings.md.frame_every
    start = settings.frames(settings.start_ps) * (settings.replicas + settings.evaluation.seeds)
    one_round = settings.frames(settings.equilibrate_ps) + settings.frames(settings.produce_ps)
    one_test = settings.frames(settings.equilibrate_ps) + settings.frames(settings.evaluation.test_ps)
    return Plan(
        models=models,
        training_labels=arms * settings.budgets[-1],
        evaluation_labels=models * sum(shares(settings.evaluation.labels_per_model, settings.evaluation.seeds)),
        event_labels=settings.evaluation.check_events * labels_per_check(settings),
        md_steps=per_frame * (start + arms * rounds * one_round + models * settings.evaluation.seeds * one_test),
        updates=arms * rounds * settings.finetune.updates,
        committee_updates=arms * settings.evaluation.committee * settings.finetune.updates,
    )


def reference_steps(settings: StudySettings) -> int:
    """Steps of reference dynamics in the check of an event, of the study's own timestep."""
    return ceil(LENGTH_FS / settings.md.timestep_fs - 1e-9)


def labels_per_check(settings: StudySettings) -> int:
    """Labels that the check of an event takes at most: before, at and after it, and one for each step."""
    return 3 + reference_steps(settings)


def shares(labels: int, seeds: int) -> list[int]:
    """How many labels each test seed gets: as even as can be, the first ones one more, and none goes without."""
    return [max(1, labels // seeds + (k < labels % seeds)) for k in range(seeds)]
