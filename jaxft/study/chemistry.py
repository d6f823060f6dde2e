"""``events.json`` and ``structure.json`` of a run: what happened in each model's dynamics, and what they look like on average."""

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import TypeVar

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from jaxtyping import Int

from jaxft.analysis.bond_lengths import BondLengths, bond_lengths
from jaxft.analysis.coordination import coordination_series, summarise_coordination
from jaxft.analysis.displacement import displacement
from jaxft.analysis.event import Event
from jaxft.analysis.event_record import RunEvents, Watched, events_record, write_events
from jaxft.analysis.events import EventSettings, find_trajectory_events, snapshots
from jaxft.analysis.frames import Frames, frames_of
from jaxft.analysis.q_record import Timeline, read_q
from jaxft.analysis.rdf import radial_distribution
from jaxft.analysis.structure_record import SetStructure, StructureRecord, write_structure
from jaxft.errors import InputError
from jaxft.records import write_text
from jaxft.structures.contacts import NONMETALS
from jaxft.structures.dataset import LabelledStructure
from jaxft.structures.extxyz import format_frame
from jaxft.study.production import Stretch
from jaxft.study.run_view import RunView

SNAPSHOTS = 20
"""Events of a run that snapshots are written of, the first ones."""

OH_RANGE = (0.8, 1.8)
"""Å, of the histogram of O-H lengths; what is longer is counted apart."""

Made = TypeVar("Made")


def analyse_events(view: RunView) -> None:
    """Write ``events.json``, and snapshots of the first events of each run."""
    followed = _followed(view)
    spacing = view.settings.md.timestep_fs * view.settings.md.frame_every
    runs, watched = [], []
    for name in view.tested:
        for kind, stretches in (("test", view.tests(name)), ("production", view.tests(name, "production"))):
            for stretch in stretches:
                seed = stretch.number
                timeline, limit = followed.get((name, seed), (None, None)) if kind == "test" else (None, None)
                alarm = None if timeline is None else timeline.alarm_fs
                runs.append(_run_events(view, name, kind, seed, stretch, alarm))
                if timeline is not None and limit is not None:
                    at = [event.frame - stretch.first for event in runs[-1].report.events]
                    above = np.array(timeline.largest) > limit
                    watched.append(Watched(above, spacing, np.array(at, dtype=int)))
    if not runs:
        raise InputError("no model has been run yet; events are looked for in tests and production")
    write_events(view.layout.evaluation("events"), events_record(tuple(runs), watched))


def _run_events(view: RunView, name: str, kind: str, seed: int, stretch: Stretch, alarm_fs: float | None) -> RunEvents:
    report = find_trajectory_events(stretch.trajectory, EventSettings(), start=stretch.first)
    start_fs = stretch.first * view.settings.md.timestep_fs * view.settings.md.frame_every
    files: list[str | None] = [
        _write_snapshots(view, stretch, event, f"{kind}-{name}-{seed}-{number}") if number < SNAPSHOTS else None
        for number, event in enumerate(report.events)
    ]
    leads = tuple(None if alarm_fs is None else event.time_fs - start_fs - alarm_fs for event in report.events)
    return RunEvents(name, kind, seed, start_fs, report, leads, tuple(files))


def _followed(view: RunView) -> dict[tuple[str, int], tuple[Timeline, float | None]]:
    """Q along each test, where it was followed, and the frame limit."""
    path = view.layout.evaluation("qresidual")
    if not path.exists():
        return {}
    models = [m for m in read_q(path).models if m.descriptors == "base"]
    return {(m.name, t.seed): (t, m.frame_limit) for m in models for t in m.timelines}


def _write_snapshots(view: RunView, stretch: Stretch, event: Event, name: str) -> str:
    texts = []
    for when, atoms in zip(("before", "at", "after"), snapshots(stretch.trajectory, event), strict=True):
        bare = atoms[:]
        bare.info, bare.calc = {}, None
        bare.arrays = {key: bare.arrays[key] for key in ("numbers", "positions")}
        texts.append(format_frame(bare, {}, {"when": when, "event": event.words}, {}))
    path = view.layout.root / "evaluation" / "events" / f"{name}.extxyz"
    write_text(path, "".join(texts))
    return path.name


def analyse_structure(view: RunView) -> None:
    """Write ``structure.json``."""
    sets = []
    for name in view.tested:
        for kind, title in (("test", f"test {name}"), ("production", f"production {name}")):
            stretches = view.tests(name, kind)
            if stretches:
                frames = chain.from_iterable(s.trajectory.structures(range(s.first, s.stop)) for s in stretches)
                sets.append(_structure(title, [frames_of(s.trajectory, s.first) for s in stretches], frames))
    if view.settings.evaluation.common_set is not None:
        data = view.common_set()
        sets.append(_structure("common set", _common_frames(data, view.common_runs()), (item.atoms for item in data)))
    if not sets:
        raise InputError("no model has been run yet; structure is that of tests and production")
    write_structure(view.layout.evaluation("structure"), StructureRecord(tuple(sets)))


def _structure(name: str, runs: Sequence[Frames], structures: Iterable[Atoms]) -> SetStructure:
    runs = [run for run in runs if len(run)]
    if not runs:
        return SetStructure(name, None, (), (), (), ("no frame after equilibration",))
    missing: list[str] = []

    def made(what: str, make: Callable[[], Made]) -> Made | None:
        try:
            return make()
        except InputError as error:
            missing.append(f"{what}: {error}")
            return None

    elements = [chemical_symbols[z] for z in sorted(set(runs[0].numbers.tolist()))]
    metals = [e for e in elements if e not in NONMETALS]
    coordination = [
        made(f"coordination of {e}", lambda e=e: summarise_coordination([coordination_series(r, e) for r in runs]))  # type: ignore[misc]
        for e in metals
    ]
    bonds: tuple[BondLengths, ...] = ()
    if {"H", "O"} <= set(elements):
        bonds = (bond_lengths(name, structures, "H", "O", shortest=OH_RANGE[0], longest=OH_RANGE[1]),)
    moved = [made(f"displacement of {e}", lambda e=e: displacement(runs, e)) for e in elements]  # type: ignore[misc]
    return SetStructure(
        name=name,
        rdf=made("pair distributions", lambda: radial_distribution(runs)),
        coordination=tuple(c for c in coordination if c is not None),
        bonds=bonds,
        displacement=tuple(m for m in moved if m is not None),
        missing=tuple(missing),
    )


def _common_frames(data: Sequence[LabelledStructure], of_run: Int[np.ndarray, "frames"]) -> list[Frames]:
    """The common set run by run, as frames that are far apart: good for averages, not for events."""
    runs: dict[int, list[np.ndarray]] = {}
    for item, run in zip(data, of_run.tolist(), strict=True):
        runs.setdefault(run, []).append(item.atoms.positions)
    first = data[0].atoms
    return [Frames(np.array(x), first.cell.array, first.pbc, np.asarray(first.numbers), 100.0) for x in runs.values()]
