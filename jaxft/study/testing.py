"""Dynamics of a model of its own, and what the reference says of it: tests, which all models share, and long production runs.

Every model starts from the same held-out boxes with the same velocities, side by side as replicas. Frames at even spacing after
equilibration are labelled. A guard ends that seed; what came before it counts (protocol 4 and 5).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms

from jaxft.analysis.model_test import ModelTest, SeedTest, Stop, label_arrays
from jaxft.finetune.offset import CompositionOffset, fit_offset
from jaxft.md.monitor import Monitor
from jaxft.md.run import Outcome
from jaxft.md.simulation import start
from jaxft.md.trajectory import read_trajectory
from jaxft.potential.evaluate import Evaluator
from jaxft.potential.potential import Potential
from jaxft.strategies.bench import Model
from jaxft.study.bench import named_key, run_with_bar
from jaxft.study.labelled import LabelDesk
from jaxft.study.layout import Layout
from jaxft.study.plan import shares
from jaxft.study.progress import Progress
from jaxft.study.settings import StudySettings
from jaxft.study.test_frames import write_test_frames


@dataclass(frozen=True)
class Stretch:
    """How long a model runs and how often the reference is asked.

    kind    ``test`` or ``production``: decides names and folders
    ps      after equilibration
    labels  in all, shared out among the seeds
    """

    kind: str
    ps: float
    labels: int

    @classmethod
    def test(cls, settings: StudySettings) -> "Stretch":
        """That of a study's tests."""
        return cls("test", settings.evaluation.test_ps, settings.evaluation.labels_per_model)


def base_with_offset(base: Potential, smallest: Model, precision: str) -> Model:
    """The unmodified base as a model of its own: base plus the offset fitted to the smallest budget's labels."""
    data = smallest.data
    evaluate = Evaluator(base, dtype=precision)
    differences = np.array([d.energy - evaluate(d.atoms).energy for d in data])
    offset = fit_offset([d.atoms for d in data], differences, smallest.n_effective)
    return Model("base", "base", len(data), "base", offset.apply(base), offset, data, smallest.n_effective)


def run_test(
    model: Model,
    boxes: Sequence[Atoms],
    settings: StudySettings,
    layout: Layout,
    desk: LabelDesk,
    progress: Progress,
    stretch: Stretch | None = None,
    monitor: Monitor | None = None,
) -> ModelTest:
    """Run and label one model's dynamics, by default its test. Everything is on disk: called again it reads back.

    monitor: watches how far the dynamics goes from the training set, and may stop it.
    """
    stretch = stretch or Stretch.test(settings)
    name = f"{stretch.kind}-{model.name}"
    first = settings.frames(settings.equilibrate_ps)
    length = settings.frames(stretch.ps)
    # one key for all models: the same velocities and the same noise for the same seed
    simulation = start(
        model.potential, boxes, settings.md, named_key(settings.seed, stretch.kind), settings.precision, monitor=monitor
    )
    paths = layout.own_dynamics(stretch.kind, model.name, len(boxes))
    outcome = run_with_bar(progress, layout, name, simulation, first + length, paths)
    wanted = shares(stretch.labels, len(boxes))
    picks = [_picks(v - first, length, share) for v, share in zip(outcome.valid_frames, wanted, strict=True)]
    trajectories = [read_trajectory(path, n_frames=v) for path, v in zip(paths, outcome.valid_frames, strict=True)]
    frames = [[t.to_atoms(first + k) for k in chosen] for t, chosen in zip(trajectories, picks, strict=True)]
    flat = [atoms for of_seed in frames for atoms in of_seed]
    with progress.task(f"labels {name}", len(flat), "labels") as task:
        bought = desk.entries(flat, lambda now: task.update(now.done, now.note))

    evaluate = Evaluator(model.potential, dtype=settings.precision)
    spacing = settings.md.timestep_fs * settings.md.frame_every
    times = [(np.array(chosen, dtype=np.float64) + 1.0) * spacing for chosen in picks]
    write_test_frames(layout.test_frames(model.name, stretch.kind), frames, [t.tolist() for t in times], bought)
    entries = iter(bought)
    seeds = []
    for k, (trajectory, chosen) in enumerate(zip(trajectories, picks, strict=True)):
        results = [evaluate(atoms) for atoms in frames[k]]
        energies, forces, failures = label_arrays([next(entries) for _ in chosen], len(boxes[0]))
        seeds.append(
            SeedTest(
                seed=k,
                times_fs=times[k],
                model_energies=np.array([r.energy for r in results]),
                reference_energies=energies,
                model_forces=np.array([r.forces for r in results]).reshape(-1, len(boxes[0]), 3),
                reference_forces=forces,
                failures=failures,
                dense_times_fs=(np.arange(len(trajectory.energies) - first, dtype=np.float64) + 1.0) * spacing,
                dense_energies=np.asarray(trajectory.energies[first:], dtype=np.float64),
                stopped=_stop(outcome, k, first * spacing),
                length_fs=length * spacing,
            )
        )
    return ModelTest(
        name=model.name,
        strategy=model.strategy,
        budget=model.budget,
        numbers=np.asarray(boxes[0].numbers),
        temperature=settings.md.temperature,
        offset_standard_error=_per_atom(model.offset, boxes[0]),
        training_residuals=_training_residuals(model, settings.precision),
        training_n_effective=model.n_effective,
        seeds=tuple(seeds),
    )


def _picks(available: int, length: int, wanted: int) -> list[int]:
    """Frames to label: an even grid over the whole test, of which a stopped seed reaches only the first part."""
    grid = np.ceil(np.linspace(0, length, min(wanted, length) + 1)[1:]).astype(int) - 1
    return [int(k) for k in grid if k < available]


def _stop(outcome: Outcome, replica: int, equilibration_fs: float) -> Stop | None:
    stop = outcome.stops[replica]
    return None if stop is None else Stop(max(0.0, stop.time_fs - equilibration_fs), stop.reason)


def _per_atom(offset: CompositionOffset, atoms: Atoms) -> float | None:
    error = offset.standard_error(atoms.numbers)
    return None if error is None else error / len(atoms)


def _training_residuals(model: Model, precision: str) -> np.ndarray:
    evaluate = Evaluator(model.potential, dtype=precision)
    return np.array([(evaluate(d.atoms).energy - d.energy) / len(d.atoms) for d in model.data])
