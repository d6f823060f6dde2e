"""The whole study: boxes, strategies, tests of every model, scores, report. Run again, it goes on where it stopped.

Result files depend on configuration and code alone: times, hosts and versions go to ``record.json`` only.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ase import Atoms

from jaxft.analysis.model_test import ModelTest
from jaxft.analysis.residuals import residuals_record, write_residuals
from jaxft.errors import InputError
from jaxft.finetune.fingerprint import hash_potential
from jaxft.finetune.trainable import trainable_of, tree_to_train
from jaxft.jobs.settings import open_executor
from jaxft.labels.reference import check_reference
from jaxft.labels.store import open_store
from jaxft.md.block import COMPILATIONS
from jaxft.potential.load import load
from jaxft.potential.potential import Potential
from jaxft.potential.zoo import sha256
from jaxft.report.report import Report, report
from jaxft.strategies.bench import Arm
from jaxft.strategies.naive import run_naive
from jaxft.strategies.periodic import run_periodic
from jaxft.structures.species import species_of
from jaxft.study.analysing import analyse
from jaxft.study.bench import StudyBench
from jaxft.study.boxes import packed_box, prepare_boxes
from jaxft.study.event_checks import check_events
from jaxft.study.labelled import LabelDesk
from jaxft.study.layout import Layout
from jaxft.study.models import planned_models
from jaxft.study.progress import Progress
from jaxft.study.record import FREE, alone, close_record, open_record
from jaxft.study.run_view import RunView
from jaxft.study.settings import StudySettings
from jaxft.study.testing import base_with_offset, run_test


@dataclass(frozen=True)
class Outcome:
    """What a finished study leaves to say.

    failures    arms that ended before their last budget, and why
    unlabelled  evaluation frames whose label failed
    stopped     test seeds that a guard ended
    missing     parts of the analysis that could not be made, and why
    """

    report: Report
    failures: tuple[str, ...]
    unlabelled: int
    stopped: int
    missing: tuple[str, ...]


def check(settings: StudySettings) -> Potential:
    """Everything that can be known to be wrong before any work is done. Raises InputError; returns the base potential."""
    base = load(settings.base, head=settings.head)
    box = packed_box(settings.system, settings.seed)
    species_of(box.numbers, base.atomic_numbers)
    tree_to_train(base.params, trainable_of(settings.finetune), settings.seed)
    common = settings.evaluation.common_set
    if common is not None and not common.is_file():
        raise InputError(f"evaluation.common_set is {common}, which is no file")
    # on a cluster, what is installed here says nothing
    check_reference(settings.reference, box, here=settings.executor.kind != "parsl")
    return base


def run_study(settings: StudySettings, root: Path, progress: Progress) -> Outcome:
    """Run, or go on with, the study in ``root``, and report it. Raises InputError where no strategy gave a model."""
    layout = Layout(root)
    base = check(settings)
    with (
        alone(layout),
        open_store(root / settings.store) as store,
        open_executor(settings.executor) as executor,
    ):
        open_record(layout, settings.configuration, settings.seed, _content(settings, base))
        desk = LabelDesk(settings, store, executor)
        replicas = settings.replicas if "naive" in settings.strategies else 1
        sampling = _boxes(settings, layout, base, "sampling", replicas, progress)
        held_out = _boxes(settings, layout, base, "test", settings.evaluation.seeds, progress)
        bench = StudyBench(settings, layout, base, sampling, desk, progress)
        arms = _arms(settings, bench)
        failures = [arm.failure for arm in arms if arm.failure is not None]
        models = [model for arm in arms for model in arm.models]
        if not models:
            raise InputError("; ".join(failures))
        models.insert(0, base_with_offset(base, models[0], settings.precision))
        tests: list[ModelTest] = []
        for model in models:
            tests.append(run_test(model, held_out, settings, layout, desk, progress))
            # written after every model, so that a report can be made of a run that is still going
            record = residuals_record(
                tests,
                demonstration=settings.demonstration,
                settings={**_shown(settings), "failures": failures},
                planned=["base", *(name for names in planned_models(settings).values() for name in names)],
                sampling=bench.stretches,
            )
            write_residuals(layout.residuals, record)
        missing = analyse(settings, layout, base, progress)
        if settings.evaluation.check_events and layout.evaluation("events").exists():
            checks = check_events(RunView(settings, layout, base), desk, settings.evaluation.check_events, progress)
            progress.say(checks.words)
        # the report says whether the run is finished, so that comes first; ``jaxft run`` makes up for a kill between the two
        close_record(layout, {"blocks of dynamics": COMPILATIONS.total()})
        made = report(root)
    unlabelled = sum(len(seed.failures) for test in tests for seed in test.seeds)
    stopped = sum(seed.stopped is not None for test in tests for seed in test.seeds)
    return Outcome(made, tuple(failures), unlabelled, stopped, missing)


def _arms(settings: StudySettings, bench: StudyBench) -> list[Arm]:
    """All arms, the naive one first: the base's offset is fitted to its smallest budget (protocol 3)."""
    arms: dict[str, Callable[[], Arm]] = {
        "naive": lambda: run_naive(bench, settings.budgets, settings.replicas),
        "periodic": lambda: run_periodic(bench, settings.budgets, settings.weights_from),
    }
    return [run() for name, run in arms.items() if name in settings.strategies]


def _shown(settings: StudySettings) -> dict[str, Any]:
    """The configuration without what may differ between equal runs."""
    return {
        name: {k: v for k, v in value.items() if k not in FREE.get(name, ())} if isinstance(value, dict) else value
        for name, value in settings.configuration.items()
    }


def _content(settings: StudySettings, base: Potential) -> dict[str, str]:
    content = {"base": hash_potential(base)}
    if settings.system.structure is not None:
        content["structure"] = sha256(settings.system.structure)
    return content


def _boxes(
    settings: StudySettings, layout: Layout, base: Potential, purpose: str, count: int, progress: Progress
) -> list[Atoms]:
    paths = [layout.start_box(purpose, k) for k in range(count)]
    steps = settings.frames(settings.start_ps) * settings.md.frame_every
    with progress.task(f"{count} boxes for {purpose}", steps, "steps") as task:
        return prepare_boxes(
            settings,
            base,
            purpose,
            paths,
            layout.checkpoint(f"start-{purpose}"),
            on_progress=lambda now: task.update(now.steps, f"{now.ns_per_day:.2f} ns/day, {now.temperature:.0f} K"),
            on_relax=lambda box, step: task.update(0, f"relaxing box {box + 1}: step {step}"),
        )
