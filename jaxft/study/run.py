"""The whole study: boxes, strategies, tests of every model, scores, report. Run again, it goes on where it stopped.

Result files depend on configuration and code alone: times, hosts and versions go to ``record.json`` only.
"""

import os
import platform
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ase import Atoms

import jaxft
from jaxft.analysis.model_test import ModelTest
from jaxft.analysis.residuals import residuals_record, write_residuals
from jaxft.errors import InputError
from jaxft.jobs.processes import ProcessExecutor
from jaxft.labels.reference import check_reference
from jaxft.labels.store import open_store
from jaxft.potential.load import load
from jaxft.potential.potential import Potential
from jaxft.records import read_json, write_json
from jaxft.report.report import Report, report
from jaxft.strategies.bench import Model
from jaxft.strategies.naive import run_naive
from jaxft.strategies.periodic import run_periodic
from jaxft.structures.species import species_of
from jaxft.study.bench import StudyBench
from jaxft.study.boxes import packed_box, prepare_boxes
from jaxft.study.labelled import LabelDesk
from jaxft.study.layout import Layout
from jaxft.study.progress import Progress
from jaxft.study.settings import StudySettings
from jaxft.study.testing import base_with_offset, run_test

FORMAT = "jaxft-run"
VERSION = 1
PACKAGES = (
    "jax",
    "jaxlib",
    "jax-md",
    "flax",
    "optax",
    "e3nn-jax",
    "numpy",
    "scikit-learn",
    "ase",
    "tblite",
    "matscipy",
)


def check(settings: StudySettings) -> Potential:
    """Everything that can be known to be wrong before any work is done. Raises InputError; returns the base potential."""
    base = load(settings.base, head=settings.head)
    box = packed_box(settings.system, settings.seed)
    species_of(box.numbers, base.atomic_numbers)
    check_reference(settings.reference, box)
    return base


def run_study(settings: StudySettings, root: Path, progress: Progress) -> Report:
    """Run, or go on with, the study in ``root``, and report it."""
    layout = Layout(root)
    base = check(settings)
    _open_record(layout, settings)
    with (
        open_store(root / settings.store) as store,
        ProcessExecutor(settings.workers, settings.reference.threads) as executor,
    ):
        desk = LabelDesk(settings, store, executor)
        sampling = _boxes(settings, layout, base, "sampling", max(settings.replicas, 1), progress)
        held_out = _boxes(settings, layout, base, "test", settings.evaluation.seeds, progress)
        bench = StudyBench(settings, layout, base, sampling, desk, progress)
        models = _models(settings, bench)
        models.insert(0, base_with_offset(base, models[0].data, settings.precision))
        tests: list[ModelTest] = []
        for model in models:
            tests.append(run_test(model, held_out, settings, layout, desk, progress))
            # written after every model, so that a report can be made of a run that is still going
            record = residuals_record(
                tests,
                demonstration=settings.demonstration,
                settings=settings.configuration,
                planned=[m.name for m in models],
            )
            write_residuals(layout.residuals, record)
    _close_record(layout)
    return report(root)


def is_finished(layout: Layout, settings: StudySettings) -> bool:
    """Whether this very study is complete. Raises InputError where the folder belongs to another configuration."""
    if not layout.record.exists():
        if layout.root.exists() and any(layout.root.iterdir()):
            raise InputError(f"{layout.root} is not empty and holds no jaxft run; choose another folder with -o")
        return False
    record = read_json(layout.record, FORMAT, VERSION)
    if record["configuration"] != settings.configuration:
        changed = _differences(record["configuration"], settings.configuration)
        raise InputError(
            f"{layout.root} holds a run of another configuration (differs in {', '.join(changed)}); "
            "choose another folder with -o, or restore the configuration"
        )
    return bool(record["finished"])


def _models(settings: StudySettings, bench: StudyBench) -> list[Model]:
    arms: dict[str, Callable[[], list[Model]]] = {
        "naive": lambda: run_naive(bench, settings.budgets, settings.replicas),
        "periodic": lambda: run_periodic(bench, settings.budgets),
    }
    return [model for name in settings.strategies for model in arms[name]()]


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
            lambda now: task.update(now.steps, f"{now.ns_per_day:.2f} ns/day, {now.temperature:.0f} K"),
        )


def _open_record(layout: Layout, settings: StudySettings) -> None:
    if layout.record.exists():
        return
    layout.root.mkdir(parents=True, exist_ok=True)
    write_json(
        layout.record,
        FORMAT,
        VERSION,
        {
            "finished": False,
            "configuration": dict(settings.configuration),
            "seed": settings.seed,
            "jaxft": jaxft.__version__,
            "python": sys.version.split()[0],
            "packages": {name: version(name) for name in PACKAGES},
            "machine": {"processor": platform.machine(), "system": platform.system(), "cores": os.cpu_count()},
        },
    )


def _close_record(layout: Layout) -> None:
    record = read_json(layout.record, FORMAT, VERSION)
    body = {k: v for k, v in record.items() if k not in ("format", "format_version")}
    write_json(layout.record, FORMAT, VERSION, {**body, "finished": True})


def _differences(a: Mapping[str, Any], b: Mapping[str, Any], prefix: str = "") -> list[str]:
    names = []
    for name in sorted(set(a) | set(b)):
        x, y = a.get(name), b.get(name)
        if isinstance(x, dict) and isinstance(y, dict):
            names += _differences(x, y, f"{prefix}{name}.")
        elif x != y:
            names.append(prefix + name)
    return names
