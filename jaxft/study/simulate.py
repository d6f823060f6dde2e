"""``jaxft md``: dynamics of one potential by stages, in a run folder that goes on where it stopped.

    config.yaml  record.json  log.txt  checkpoints/  start/replica-K.extxyz
    trajectories/STAGE-K.h5md   end/replica-K.extxyz (the last good state)   summary.json

Each replica is a box of its own. Where not all fit into memory they run in batches, one after another.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from jaxtyping import PRNGKeyArray

from jaxft.errors import InputError
from jaxft.finetune.fingerprint import hash_potential
from jaxft.jobs.settings import ExecutorSettings, open_executor
from jaxft.md.block import COMPILATIONS
from jaxft.md.devices import replicas_per_batch
from jaxft.md.relax import relax
from jaxft.md.run import Progress as BlockProgress
from jaxft.md.simulation import Simulation, in_ensemble, select, start
from jaxft.md.stages import Stage, run_stages
from jaxft.md.summary import Summary, summarise
from jaxft.md.trajectory import read_trajectory
from jaxft.potential.load import load
from jaxft.potential.potential import Potential
from jaxft.potential.zoo import sha256
from jaxft.records import read_json, write_json
from jaxft.structures.extxyz import read_frames
from jaxft.structures.species import species_of
from jaxft.study.bench import named_key
from jaxft.study.boxes import packed_box, write_box
from jaxft.study.layout import Layout
from jaxft.study.progress import Progress, Silent
from jaxft.study.record import alone, close_record, open_record
from jaxft.study.settings import SystemSettings

FORMAT = "jaxft-md-summary"
VERSION = 1
BLOCK_FRAMES = 25


@dataclass(frozen=True)
class SimulateSettings:
    """One set of simulations.

    replicas_per_batch  how many run side by side; None: all; "auto": what memory holds, on a processor no more than is fast
    checkpoint_every_s  s between checkpoints
    """

    system: SystemSettings
    potential: str
    head: str | None
    relax: bool
    stages: tuple[Stage, ...]
    replicas: int
    replicas_per_batch: int | str | None
    checkpoint_every_s: float
    seed: int
    precision: str
    configuration: Mapping[str, Any]

    def __post_init__(self) -> None:
        if not self.stages:
            raise InputError("stages is empty; expected at least one, for example {name: produce, ps: 10}")
        names = [stage.name for stage in self.stages]
        if len(set(names)) != len(names):
            raise InputError(f"stages must have different names, got {', '.join(names)}")
        if self.replicas < 1:
            raise InputError(f"replicas must be at least 1, got {self.replicas}")
        if not 0 <= self.seed < 2**32:
            raise InputError(f"seed must be a whole number from 0 to {2**32 - 1}, got {self.seed}")
        if self.precision not in ("float32", "float64"):
            raise InputError(f"precision must be float32 or float64, got {self.precision!r}")
        if not self.checkpoint_every_s >= 0.0:
            raise InputError(f"checkpoint_every_s must be 0 or more, got {self.checkpoint_every_s}")
        per_batch = self.replicas_per_batch
        if not (per_batch is None or per_batch == "auto" or (isinstance(per_batch, int) and per_batch >= 1)):
            raise InputError(f"replicas_per_batch must be a number of replicas, auto or null, got {per_batch!r}")


@dataclass(frozen=True)
class Elsewhere:
    """Batches that run in workers: ``function((task, k))`` is ``simulate_batch`` number k of this run, importable by its name."""

    executor: ExecutorSettings
    function: Callable[[Any], int]
    task: Any


Summaries = dict[str, list[Summary]]
"""Of each stage, in order: one summary for each replica."""


def simulate(
    settings: SimulateSettings, root: Path, progress: Progress, elsewhere: Elsewhere | None = None
) -> Summaries:
    """Run, or go on with, the simulations in ``root``; by default in this process, batch after batch.

    What workers leave undone (because they died) is done here. Raises InputError for what can be known to be wrong beforehand.
    """
    potential = load(settings.potential, head=settings.head)
    box = packed_box(settings.system, settings.seed)
    species_of(box.numbers, potential.atomic_numbers)
    key = named_key(settings.seed, "md")
    trial = _start(settings, potential, [box], key)
    for stage in settings.stages[1:]:
        trial = in_ensemble(trial, stage.settings)
    content = {"potential": hash_potential(potential)}
    if settings.system.structure is not None:
        content["structure"] = sha256(settings.system.structure)
    layout = Layout(root)
    with alone(layout):
        open_record(layout, settings.configuration, settings.seed, content)
        boxes = _boxes(settings, root, potential, progress)
        whole = _start(settings, potential, boxes, key)
        batches = _batches(settings, whole)
        if elsewhere is not None:
            _run_elsewhere(elsewhere, len(batches), progress)
        for number, batch in enumerate(batches):
            _run_batch(settings, layout, whole, batch, number, progress)
        found = {
            stage.name: [summarise(read_trajectory(_path(root, stage, k))) for k in range(settings.replicas)]
            for stage in settings.stages
        }
        write_json(
            root / "summary.json",
            FORMAT,
            VERSION,
            {
                "stages": {name: [asdict(summary) for summary in of_stage] for name, of_stage in found.items()},
                # with the defaults that depend on the ensemble, which the configuration need not name
                "settings": {stage.name: asdict(stage.settings) for stage in settings.stages},
            },
        )
        close_record(layout, {"blocks of dynamics": COMPILATIONS.total()})
    return found


def simulate_batch(settings: SimulateSettings, root: Path, number: int) -> int:
    """One batch of a run that another process has begun and waits for."""
    layout = Layout(root)
    potential = load(settings.potential, head=settings.head)
    boxes = [read_frames(root / "start" / f"replica-{k}.extxyz")[0] for k in range(settings.replicas)]
    whole = _start(settings, potential, boxes, named_key(settings.seed, "md"))
    _run_batch(settings, layout, whole, _batches(settings, whole)[number], number, Silent())
    return number


def _run_elsewhere(elsewhere: Elsewhere, batches: int, progress: Progress) -> None:
    with (
        progress.task("batches of replicas", batches, "batches") as task,
        open_executor(elsewhere.executor) as executor,
    ):
        done = 0

        def show(*_: Any) -> None:
            nonlocal done
            done += 1
            task.update(done)

        executor.run(elsewhere.function, [(elsewhere.task, k) for k in range(batches)], show)


def any_stopped(root: Path) -> bool:
    """Whether a guard stopped a replica of a finished run."""
    stages = read_json(root / "summary.json", FORMAT, VERSION)["stages"]
    return any(summary["stopped"] for of_stage in stages.values() for summary in of_stage)


def _start(settings: SimulateSettings, potential: Potential, boxes: Sequence[Atoms], key: PRNGKeyArray) -> Simulation:
    """The start of the first stage; where it heats, momenta are those of its first temperature."""
    first = settings.stages[0]
    return start(potential, boxes, first.settings, key, settings.precision, momenta_at=first.from_temperature)


def _run_batch(
    settings: SimulateSettings,
    layout: Layout,
    whole: Simulation,
    batch: Sequence[int],
    number: int,
    progress: Progress,
) -> None:
    """All stages of some replicas, and their last states."""
    frames = {stage.name: stage.frames * stage.settings.frame_every for stage in settings.stages}
    which = f"replicas {batch[0]}-{batch[-1]}" if len(batch) > 1 else f"replica {batch[0]}"
    with progress.task(f"dynamics of {which}", sum(frames.values()), "steps") as task:
        done = dict.fromkeys(frames, 0)

        def show(stage: Stage, now: BlockProgress) -> None:
            done[stage.name] = now.frames * stage.settings.frame_every
            note = f"{now.ns_per_day:.2f} ns/day, {now.temperature:.0f} K, {now.energy_per_atom:.4f} eV/atom"
            task.update(sum(done.values()), f"{stage.name}: {note}")

        outcomes = run_stages(
            select(whole, batch),
            settings.stages,
            checkpoint=lambda stage: layout.checkpoint(f"{stage.name}-{number}"),
            trajectories=lambda stage: [_path(layout.root, stage, k) for k in batch],
            block_frames=BLOCK_FRAMES,
            checkpoint_every_s=settings.checkpoint_every_s,
            on_progress=show,
        )
    for place, k in enumerate(batch):
        write_box(layout.root / "end" / f"replica-{k}.extxyz", outcomes[-1].simulation.atoms(place))


def _batches(settings: SimulateSettings, whole: Simulation) -> list[range]:
    per_batch = settings.replicas_per_batch
    if per_batch == "auto":
        per_batch = replicas_per_batch(whole, BLOCK_FRAMES)
    size = settings.replicas if per_batch is None else int(per_batch)
    return [range(k, min(k + size, settings.replicas)) for k in range(0, settings.replicas, size)]


def _boxes(settings: SimulateSettings, root: Path, potential: Potential, progress: Progress) -> list[Atoms]:
    """Starting structures, from disk where they are there already: box k depends on the seed and k alone."""
    seeds = np.random.SeedSequence(settings.seed).generate_state(settings.replicas)
    boxes = []
    for k, seed in enumerate(seeds):
        path = root / "start" / f"replica-{k}.extxyz"
        if not path.exists():
            box = packed_box(settings.system, int(seed))
            if settings.relax:
                with progress.task(f"relaxation of replica {k}", 200, "steps at most") as task:
                    box = relax(potential, box, dtype=settings.precision, on_step=partial(_show, task))
            write_box(path, box)
        boxes.append(read_frames(path)[0])
    return boxes


def _show(task: Any, step: int) -> None:
    task.update(step)


def _path(root: Path, stage: Stage, replica: int) -> Path:
    return root / "trajectories" / f"{stage.name}-{replica}.h5md"
