"""``jaxft produce``: a long run of one model of a study, checked by the reference at even spacing; goes on where it stopped.

``production/NAME.json`` has the same form as ``evaluation/residuals.json``, with this one model in it.
"""

import math
from pathlib import Path
from typing import Any

from jaxft.analysis.model_test import ModelTest
from jaxft.analysis.residuals import read_residuals, residuals_record, write_residuals
from jaxft.errors import InputError, nearest
from jaxft.jobs.settings import open_executor
from jaxft.labels.store import open_store
from jaxft.potential.load import load
from jaxft.structures.extxyz import read_frames
from jaxft.study.labelled import LabelDesk
from jaxft.study.layout import Layout
from jaxft.study.models import load_models
from jaxft.study.progress import Progress
from jaxft.study.q_residuals import monitor_of
from jaxft.study.record import alone, check_same_study
from jaxft.study.run_view import RunView
from jaxft.study.settings import StudySettings
from jaxft.study.testing import Stretch, base_with_offset, run_test

WATCHES = ("flag", "stop", "off")


def produce(
    settings: StudySettings,
    root: Path,
    name: str,
    *,
    ps: float,
    labels: int,
    seeds: int,
    watch: str,
    progress: Progress,
) -> ModelTest:
    """Run a model from ``seeds`` of the study's test boxes, and buy ``labels`` in all.

    watch: what the Q residual of its training set does when it alarms: ``flag`` or ``stop``; ``off`` for no watch. The base has
    no training set and is not watched. Raises InputError for a model that there is not, more seeds than test boxes, and a run
    of another configuration.
    """
    layout = Layout(root)
    check_same_study(layout, settings.configuration)
    if watch not in WATCHES:
        raise InputError(f"--watch must be one of {', '.join(WATCHES)}, got {watch!r}{nearest(watch, WATCHES)}")
    for what, value in (("--ps", ps), ("--labels", labels), ("--seeds", seeds)):
        if not 0 < value < math.inf:
            raise InputError(f"{what} must be positive and finite, got {value}")
    models = load_models(settings, layout)
    if not models:
        raise InputError(f"{root} has no fine-tuned model yet; let jaxft run make one first")
    base = load(settings.base, head=settings.head)
    known = {m.name: m for m in (base_with_offset(base, models[0], settings.precision), *models)}
    if name not in known:
        raise InputError(f"{root} has no model {name!r}; it has {', '.join(known)}{nearest(name, tuple(known))}")
    if seeds > settings.evaluation.seeds:
        raise InputError(f"--seeds is {seeds}, but the study has {settings.evaluation.seeds} test boxes to start from")
    boxes = [read_frames(layout.start_box("test", k))[0] for k in range(seeds)]
    asked = {"model": name, "ps": ps, "labels": labels, "seeds": seeds, "watch": watch}
    _refuse_other(layout, name, asked)
    monitor = None
    if watch != "off" and name != "base":
        monitor = monitor_of(RunView(settings, layout, base), known[name], watch)
    with alone(layout), open_store(root / settings.store) as store, open_executor(settings.executor) as executor:
        desk = LabelDesk(settings, store, executor)
        test = run_test(
            known[name], boxes, settings, layout, desk, progress, Stretch("production", ps, labels), monitor
        )
        record = residuals_record(
            [test],
            demonstration=settings.demonstration,
            settings={"production": asked},
            planned=[name],
        )
        write_residuals(layout.production(name), record)
    return test


def _refuse_other(layout: Layout, name: str, asked: dict[str, Any]) -> None:
    """A run that was made goes on as it was asked for, and not otherwise."""
    path = layout.production(name)
    made = read_residuals(path).settings.get("production") if path.exists() else None
    differs = ", ".join(f"--{key} {value}" for key, value in (made or {}).items() if asked.get(key) != value)
    if not differs:
        return
    raise InputError(
        f"{path} was made with {differs}; give the same, or move the files of {name} in production/ and checkpoints/ away"
    )
