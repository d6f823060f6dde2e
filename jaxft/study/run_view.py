"""A run as the analysis sees it: models, the dynamics that their labels came from, their tests, and descriptors of all of it.

Everything is read from the run folder; nothing is run. Descriptors are those of one fixed potential unless another is named.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count, takewhile
from pathlib import Path

import numpy as np
from ase import Atoms
from jaxtyping import Int

from jaxft.analysis.environments import Environments, environments
from jaxft.errors import InputError
from jaxft.md.trajectory import read_trajectory
from jaxft.potential.potential import Potential
from jaxft.strategies.bench import Model
from jaxft.structures.dataset import LabelledStructure, read_dataset
from jaxft.structures.extxyz import read_frames
from jaxft.study.layout import Layout
from jaxft.study.models import load_models, planned_models
from jaxft.study.production import (
    Stretch,
    fingerprint,
    fingerprints,
    frames_of,
    sampling_stretches,
    spread_frames,
    stretch_of,
)
from jaxft.study.settings import StudySettings
from jaxft.study.test_frames import TestFrames, read_test_frames

CALIBRATION_FRAMES = 400
"""At most, for limits: evenly spread over the production of the segments that a training set came from."""


@dataclass(frozen=True, eq=False)
class Calibrating:
    """Unlabelled production frames of a training set's segments, the segment of each, and how many independent ones they are."""

    frames: tuple[Atoms, ...]
    groups: Int[np.ndarray, "frames"]
    n_effective: float


class RunView:
    """What is in a run folder so far.

    unreadable: own dynamics of models that can't be read, by file, with the reason; filled while they are asked for.
    """

    def __init__(self, settings: StudySettings, layout: Layout, base: Potential) -> None:
        self.settings, self.layout, self.base = settings, layout, base
        self.unreadable: dict[str, str] = {}

    @cached_property
    def models(self) -> list[Model]:
        """Fine-tuned models, strategy by strategy, in order."""
        return load_models(self.settings, self.layout)

    @cached_property
    def largest(self) -> list[Model]:
        """The last model of each strategy: those with the most labels."""
        return [max(of, key=lambda m: m.budget) for of in self._by_strategy().values()]

    def _by_strategy(self) -> dict[str, list[Model]]:
        found: dict[str, list[Model]] = {}
        for model in self.models:
            found.setdefault(model.strategy, []).append(model)
        return found

    def start_boxes(self) -> list[Atoms]:
        """Boxes that sampling started from."""
        paths = takewhile(Path.exists, (self.layout.start_box("sampling", k) for k in count()))
        return [read_frames(path)[0] for path in paths]

    def missing(self) -> list[str]:
        """Planned models that are not there yet."""
        there = {model.name for model in self.models}
        return [name for names in planned_models(self.settings).values() for name in names if name not in there]

    def production(self, model: Model) -> list[Stretch]:
        """The segments that its labels were picked from."""
        stage = 1 + planned_models(self.settings)[model.strategy].index(model.name)
        return sampling_stretches(self.settings, self.layout, model.strategy, stage)

    def calibrating(self, model: Model) -> Calibrating:
        """Frames to calibrate its limits with."""
        stretches = self.production(model)
        chosen = spread_frames(stretches, CALIBRATION_FRAMES, without=model.data)
        effective = sum(stretch.n_effective for stretch in stretches)
        groups = np.array([k for k, _ in chosen], dtype=int)
        return Calibrating(tuple(frames_of(stretches, chosen)), groups, min(effective, float(len(chosen))))

    def groups(self, model: Model) -> Int[np.ndarray, "frames"] | None:
        """Which segment each structure of its training set came from; None where one is from elsewhere."""
        origin = {print_: k for k, stretch in enumerate(self.production(model)) for print_ in fingerprints(stretch)}
        found = [origin.get(fingerprint(labelled.atoms.positions)) for labelled in model.data]
        return None if None in found else np.array(found)

    def training(self, model: Model, descriptors: Potential | None = None) -> Environments:
        """Its training set."""
        return self.describe([labelled.atoms for labelled in model.data], descriptors)

    def describe(self, structures: Sequence[Atoms], descriptors: Potential | None = None) -> Environments:
        """Environments by the base, or by another potential."""
        return environments(
            descriptors or self.base, structures, layers=self.settings.evaluation.layers, dtype=self.settings.precision
        )

    @property
    def tested(self) -> tuple[str, ...]:
        """Names of all models that may have dynamics of their own, the base among them."""
        return ("base", *(model.name for model in self.models))

    def tests(self, name: str, kind: str = "test") -> list[Stretch]:
        """A model's own dynamics, seed by seed, after equilibration; none where there are none yet.

        One that can't be read is left out and noted in ``unreadable``: it is no reason to judge no model at all.
        """
        first = self.settings.frames(self.settings.equilibrate_ps)
        # production has as many seeds as it was asked for
        seeds = self.settings.evaluation.seeds
        numbered = [*enumerate(self.layout.own_dynamics(kind, name, seeds))]
        if seeds > 1:
            numbered += enumerate(self.layout.own_dynamics(kind, name, 1))
        found = []
        for number, path in numbered:
            if not path.exists():
                continue
            try:
                found.append(stretch_of(path.stem, read_trajectory(path), first, number))
            except InputError as error:
                self.unreadable[str(path.relative_to(self.layout.root))] = str(error)
        return found

    def left_out(self) -> tuple[str, ...]:
        """Own dynamics of any model that can't be read, in words."""
        for name in self.tested:
            for kind in ("test", "production"):
                self.tests(name, kind)
        return tuple(f"dynamics {name}: {why}" for name, why in sorted(self.unreadable.items()))

    def common_set(self) -> list[LabelledStructure]:
        """Labelled frames of the reference's own dynamics, of the system of this study.

        Raises InputError where the configuration names none, and for another system.
        """
        path = self.settings.evaluation.common_set
        if path is None:
            raise InputError("evaluation.common_set names no file")
        data = read_dataset(path)
        box = self.models[0].data[0].atoms
        for k, item in enumerate(data):
            if sorted(item.atoms.numbers) != sorted(box.numbers):
                raise InputError(
                    f"{path} frame {k} is {item.atoms.get_chemical_formula()}, but this study is of {box.get_chemical_formula()}; "
                    "give frames of the reference's dynamics of the same system"
                )
            if list(item.atoms.numbers) != list(data[0].atoms.numbers):
                raise InputError(
                    f"{path} frame {k} has its atoms in another order than frame 0; give them in one order"
                )
        return data

    def common_runs(self) -> Int[np.ndarray, "frames"]:
        """Which run of the reference each frame of the common set is of, by its entry ``run``; without that, one run.

        Raises InputError where only some frames say so, or not by a whole number.
        """
        said = [item.info.get("run") for item in self.common_set()]
        if all(run is None for run in said):
            return np.zeros(len(said), dtype=int)
        wrong = [k for k, run in enumerate(said) if not isinstance(run, int | np.integer) or isinstance(run, bool)]
        if wrong:
            raise InputError(
                f"{self.settings.evaluation.common_set} frame {wrong[0]} has run={said[wrong[0]]!r}; expected a whole number in "
                "every frame, or no entry run in any"
            )
        return np.array(said, dtype=int)

    def labelled(self, name: str) -> TestFrames | None:
        """Labelled frames of its test; None where there are none yet."""
        path = self.layout.test_frames(name)
        return read_test_frames(path) if path.exists() else None
