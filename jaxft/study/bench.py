"""The study's bench: samples, labels and fine-tunes for the strategies, keeping everything on disk and doing nothing twice.

Every piece has a name, and what it gives depends on its name, the settings and what came before, never on when the program was
interrupted: a leg of dynamics resumes from its checkpoint, a label from the store, a fine-tune from its checkpoint, and
finished pieces are read back.
"""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import jax
import numpy as np
from ase import Atoms

from jaxft.errors import InputError
from jaxft.finetune.fit import Extras, fit
from jaxft.finetune.offset import CompositionOffset
from jaxft.md.run import Outcome, run
from jaxft.md.simulation import Simulation, start, under
from jaxft.md.trajectory import read_trajectory
from jaxft.potential.checkpoint import load_folder
from jaxft.potential.potential import Potential
from jaxft.strategies.bench import Leg, Model
from jaxft.strategies.independence import Independence
from jaxft.strategies.stretch import Stretch, describe_stretch
from jaxft.structures.dataset import LabelledStructure, read_dataset, write_dataset
from jaxft.study.labelled import LabelDesk
from jaxft.study.layout import Layout
from jaxft.study.progress import Progress
from jaxft.study.replay import replay_structures
from jaxft.study.settings import StudySettings


class StudyBench:
    """Implements ``strategies.bench.Bench`` in a run folder."""

    def __init__(
        self,
        settings: StudySettings,
        layout: Layout,
        base: Potential,
        boxes: Sequence[Atoms],
        desk: LabelDesk,
        progress: Progress,
    ) -> None:
        self.settings = settings
        self.layout = layout
        self.base = base
        self.boxes = boxes
        self.desk = desk
        self.progress = progress
        self.stretches: list[Stretch] = []
        self._replay: list[LabelledStructure] | None = None
        self._last: dict[str, Simulation] = {}
        self._models: dict[str, Potential] = {"base": base}

    def sample_replicas(self, name: str, potential: Potential, replicas: int, share: float) -> Leg:
        """See ``Bench``. Replicas start from the first boxes with fresh momenta."""
        simulation = self._start(name, potential, self.boxes[:replicas])
        return self._leg("naive", name, simulation, share)

    def sample_onward(self, name: str, potential: Potential, previous: str | None, restart_from: Atoms | None) -> Leg:
        """See ``Bench``. Momenta, thermostat and keys go on with the positions, unless it starts anew."""
        if restart_from is not None:
            simulation = self._start(name, potential, [restart_from])
        elif previous is None:
            simulation = self._start(name, potential, self.boxes[:1])
        else:
            simulation = under(self._last[previous], potential)
        return self._leg("periodic", name, simulation, 1.0)

    def label(self, frames: Sequence[Atoms]) -> list[LabelledStructure | str]:
        """See ``Bench``."""
        with self.progress.task("labels", len(frames), "labels") as task:
            return self.desk.trainable(frames, lambda now: task.update(now.done, now.note))

    def finetune(
        self,
        model: str,
        strategy: str,
        parent: str,
        data: Sequence[LabelledStructure],
        picked: Sequence[Independence],
    ) -> Model:
        """See ``Bench``. The set is written before the training starts, the model when it is done."""
        folder = self.layout.model(strategy, model)
        write_dataset(self.layout.dataset(strategy, model), data)
        # what is trained on is what is on disk, so that a model can be rebuilt from its files
        data = read_dataset(self.layout.dataset(strategy, model))
        if not (folder / "config.json").exists():
            self._train(model, parent, data, picked, folder)
        potential = load_folder(folder)
        self._models[model] = potential
        offset = CompositionOffset.from_json(dict(potential.provenance["offset"]))
        n_effective = sum(stretch.n_effective for stretch in picked)
        return Model(model, strategy, len(data), parent, potential, offset, data, n_effective)

    def _train(
        self,
        model: str,
        parent: str,
        data: Sequence[LabelledStructure],
        picked: Sequence[Independence],
        folder: Path,
    ) -> None:
        settings = self.settings.finetune
        replay = self._replayed()
        with self.progress.task(f"fine-tune {model}", settings.updates, "updates") as task:
            result = fit(
                self._models[parent],
                data,
                settings,
                base=self.base,
                extras=Extras(replay=replay, n_effective=sum(stretch.n_effective for stretch in picked)),
                dtype=self.settings.precision,
                checkpoint=self.layout.checkpoint(f"fit-{model}"),
                on_progress=lambda now: task.update(now.update, f"loss {now.loss:.4f}"),
            )
        if result.failure is not None:
            raise InputError(
                f"the fine-tune of {model} stopped at update {result.failure.update}: {result.failure.reason}; "
                "lower finetune.learning_rate, or look at the structures named"
            )
        provenance = {
            **result.potential.provenance,
            "name": model,
            "parent": parent,
            "offset": result.offset.to_json(),
            "picked": [{**asdict(stretch), "at least 2 tau apart": stretch.far_enough} for stretch in picked],
        }
        replace(result.potential, provenance=provenance).save(folder)

    def _replayed(self) -> list[LabelledStructure]:
        """The same structures for every model, made when they are first needed: from the boxes that sampling starts from."""
        if self._replay is None:
            settings = self.settings
            self._replay = replay_structures(
                settings.replay, self.base, self.boxes, settings.seed, settings.precision, self.progress
            )
        return self._replay

    def _start(self, name: str, potential: Potential, boxes: Sequence[Atoms]) -> Simulation:
        return start(potential, boxes, self.settings.md, named_key(self.settings.seed, name), self.settings.precision)

    def _leg(self, room: str, name: str, simulation: Simulation, share: float) -> Leg:
        settings = self.settings
        first = settings.frames(settings.equilibrate_ps * share)
        total = first + settings.frames(settings.produce_ps * share)
        paths = self.layout.trajectories(room, name, simulation.n_replicas)
        outcome = run_with_bar(self.progress, self.layout, name, simulation, total, paths)
        self._last[name] = outcome.simulation
        spacing = settings.md.timestep_fs * settings.md.frame_every
        frames, energies = [], []
        for k, (path, valid) in enumerate(zip(paths, outcome.valid_frames, strict=True)):
            trajectory = read_trajectory(path, n_frames=valid)
            frames.append([trajectory.to_atoms(frame) for frame in range(first, valid)])
            energies.append(np.asarray(trajectory.energies[first:valid]))
            stop = outcome.stops[k]
            reason = None if stop is None else stop.reason
            self.stretches.append(describe_stretch(name, k, trajectory.energies[:valid], first, spacing, reason))
        # a trajectory that goes on counts its steps from its very beginning
        before = np.asarray(simulation.replicas.steps) * settings.md.timestep_fs
        stopped = [
            None if stop is None else (stop.time_fs - float(t), stop.reason)
            for stop, t in zip(outcome.stops, before, strict=True)
        ]
        return Leg(frames, energies, spacing, stopped)


def run_with_bar(
    progress: Progress, layout: Layout, name: str, simulation: Simulation, n_frames: int, paths: Sequence[Path]
) -> Outcome:
    """Run a leg under a progress bar; from its files where it is finished."""
    every = simulation.settings.frame_every
    with progress.task(f"dynamics {name}", n_frames * every, "steps") as task:
        return run(
            simulation,
            n_frames,
            checkpoint=layout.checkpoint(f"md-{name}"),
            trajectories=paths,
            on_progress=lambda now: task.update(
                now.frames * every, f"{now.ns_per_day:.2f} ns/day, {now.temperature:.0f} K"
            ),
        )


def named_key(seed: int, name: str) -> jax.Array:
    """A random key for a piece of the study: it depends on the seed and the name, not on how many pieces came before."""
    import zlib

    return jax.random.fold_in(jax.random.key(seed), zlib.crc32(name.encode()))
