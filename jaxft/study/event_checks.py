"""``event_checks.json`` of a run: the most important events, put before the reference (protocol 8). Buys labels.

The frames before, at and after an event are labelled, and reference dynamics starts from the snapshot at the event with the
velocities that the model's dynamics had there.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxft.analysis.event import Event
from jaxft.analysis.event_check import Followed, follow, judge, judge_failures
from jaxft.analysis.event_check_record import CheckedEvent, EventChecks, write_event_checks
from jaxft.analysis.event_choice import choose_events
from jaxft.analysis.event_quantities import quantities_of, values_along
from jaxft.analysis.event_record import RunEvents, read_events
from jaxft.analysis.events import Snapshots, snapshots
from jaxft.errors import InputError
from jaxft.jobs.settings import open_executor
from jaxft.labels.label import Entry, Failure, Label, Reason
from jaxft.labels.store import open_store
from jaxft.potential.evaluate import Evaluation, Evaluator
from jaxft.potential.potential import Potential
from jaxft.study.labelled import LabelDesk
from jaxft.study.layout import Layout
from jaxft.study.plan import labels_per_check, reference_steps
from jaxft.study.production import Stretch
from jaxft.study.progress import Progress
from jaxft.study.record import alone
from jaxft.study.reference_dynamics import Course, follow_reference
from jaxft.study.run_view import RunView
from jaxft.study.settings import StudySettings
from jaxft.study.verdicts import write_verdict_of

WHEN = ("before", "at", "after")


class _Case(NamedTuple):
    """An event to check, with its run, its place there, its trajectory and its snapshots."""

    run: RunEvents
    number: int
    stretch: Stretch
    snapshots: Snapshots

    @property
    def event(self) -> Event:
        return self.run.report.events[self.number]


def check_events(view: RunView, desk: LabelDesk, at_most: int, progress: Progress) -> EventChecks:
    """Check at most so many events of ``events.json``, and write ``event_checks.json``.

    Says beforehand how many labels that takes at most. Labels that the store holds cost nothing, so that an interrupted check
    goes on where it stopped. Raises InputError where events were not looked for yet, and for a number below 1.
    """
    if at_most < 1:
        raise InputError(f"the number of events to check is {at_most}, expected at least 1")
    record = read_events(view.layout.evaluation("events"))
    cases = [_case(view, record.runs[chosen.run], chosen.number) for chosen in choose_events(record, at_most)]
    n_events = sum(len(run.report.events) for run in record.runs)
    settings = view.settings
    total = len(cases) * labels_per_check(settings)
    if cases:
        engine = settings.reference.engine
        progress.say(f"checking {len(cases)} of {n_events} events takes up to {total} labels by {engine}")
    with progress.task("checks of events", total, "labels") as task:
        done = 0

        def more(labels: int) -> None:
            nonlocal done
            done += labels
            task.update(done)

        bought = desk.entries([atoms for case in cases for atoms in case.snapshots])
        more(len(bought))
        entries = [bought[k : k + len(WHEN)] for k in range(0, len(bought), len(WHEN))]
        sound = [k for k, of_case in enumerate(entries) if all(isinstance(entry, Label) for entry in of_case)]
        courses = follow_reference(
            [cases[k].snapshots.at for k in sound],
            desk.entries,
            steps=reference_steps(settings),
            timestep_fs=settings.md.timestep_fs,
            on_step=more,
        )
    by_case: dict[int, Course] = dict(zip(sound, courses, strict=True))
    evaluators = {case.run.model: _evaluator(view, case.run.model) for case in cases}
    checks = tuple(
        _checked(case, of_case, by_case.get(k), evaluators[case.run.model])
        for k, (case, of_case) in enumerate(zip(cases, entries, strict=True))
    )
    made = EventChecks(n_events, at_most, settings.md.timestep_fs, checks)
    write_event_checks(view.layout.evaluation("event_checks"), made)
    write_verdict_of(view.layout, view.left_out())
    return made


def check_events_of(
    settings: StudySettings, layout: Layout, base: Potential, at_most: int, progress: Progress
) -> EventChecks:
    """The same for a run folder that nobody works in, with the store and the label workers of its configuration."""
    with (
        alone(layout),
        open_store(layout.root / settings.store) as store,
        open_executor(settings.executor) as executor,
    ):
        return check_events(RunView(settings, layout, base), LabelDesk(settings, store, executor), at_most, progress)


def _case(view: RunView, run: RunEvents, number: int) -> _Case:
    stretch = next((s for s in view.tests(run.model, run.kind) if s.number == run.seed), None)
    if stretch is None:
        raise InputError(
            f"dynamics of {run.model}, seed {run.seed}, which an event is to be checked in, can't be read "
            f"({'; '.join(view.unreadable.values()) or 'no such file'}); restore them, or analyse the run again without"
        )
    return _Case(run, number, stretch, snapshots(stretch.trajectory, run.report.events[number]))


def _evaluator(view: RunView, name: str) -> Evaluator:
    potentials = {"base": view.base, **{model.name: model.potential for model in view.models}}
    return Evaluator(potentials[name], dtype=view.settings.precision)


def _checked(case: _Case, entries: Sequence[Entry], course: Course | None, evaluator: Evaluator) -> CheckedEvent:
    event = case.event
    failures: dict[str, Reason] = {
        when: entry.reason for when, entry in zip(WHEN, entries, strict=True) if isinstance(entry, Failure)
    }
    if course is not None and course.failure is not None:
        failures[f"beyond {course.times_fs[-1]:g} fs of reference dynamics"] = course.failure.reason
    followed = () if course is None else _followed(case, course)
    verdict = judge_failures(failures) if failures else judge(event.kind, followed)
    evaluations = [evaluator(atoms) for atoms in case.snapshots]
    return CheckedEvent(
        model=case.run.model,
        kind=case.run.kind,
        seed=case.run.seed,
        number=case.number,
        event=event,
        outcome=verdict.outcome,
        why=verdict.words,
        model_change=tuple(e.energy - evaluations[0].energy for e in evaluations),
        reference_change=tuple(_change(entry, entries[0]) for entry in entries),
        force_rmse=tuple(_force_rmse(e, entry) for e, entry in zip(evaluations, entries, strict=True)),
        failures=dict(failures),
        times_fs=() if course is None else tuple(course.times_fs.tolist()),
        followed=followed,
        drift=None if course is None else course.drift,
        labels=_labels(event, course),
    )


def _followed(case: _Case, course: Course) -> tuple[Followed, ...]:
    before, at, _ = case.snapshots
    report = case.run.report
    temperatures = course.temperatures(case.stretch.trajectory.n_dof)
    followed = []
    for quantity in quantities_of(case.event, report, before, at):
        values = values_along(quantity, course.positions, at.cell.array, temperatures)
        followed.append(follow(quantity, values, course.times_fs, report.settings.bonds.persistence_fs))
    return tuple(followed)


def _change(entry: Entry, before: Entry) -> float | None:
    return entry.energy - before.energy if isinstance(entry, Label) and isinstance(before, Label) else None


def _force_rmse(evaluation: Evaluation, entry: Entry) -> float | None:
    if isinstance(entry, Failure):
        return None
    return float(np.sqrt(np.mean((evaluation.forces - entry.forces) ** 2)))


def _labels(event: Event, course: Course | None) -> int:
    """Of different structures; the dynamics begins with one that has a label already."""
    at_snapshots = len({event.frame_before, event.frame, event.frame_after})
    if course is None:
        return at_snapshots
    return at_snapshots + len(course.times_fs) - 1 + int(course.failure is not None)
