"""The maps that are linked to structures: what chemiscope shows for a run, as plain values.

A frame is a labelled one of a model's test, with its residual and largest Q/limit. An atom is one that the map of the coverage has,
of a structure that is in the run folder: of the training sets that the map was fitted to, or of labelled test frames.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ase import Atoms

from jaxft.analysis.coverage_record import Coverage, MapPoint
from jaxft.analysis.q_record import QRecord
from jaxft.analysis.residuals import ModelResult
from jaxft.analysis.wording import in_mev, in_ps
from jaxft.report.coverage_figure import axis_label
from jaxft.report.formatting import model_label
from jaxft.report.records import Records
from jaxft.report.same_time import same_time
from jaxft.structures.extxyz import read_frames

MOST_FRAMES, MOST_WITH_ATOMS = 40, 100
"""Of each set on the map of frames, and on that of atoms; evenly chosen, so that a page of a long run stays small."""

MOST_EVENTS = 100

SEED, TIME = "test_seed", "test_time_fs"
"""In the file of test frames, how a frame says where it is from."""

LABELLED = "frames "
"""Before a model's name: the set of its labelled test frames on the coverage map."""

RESIDUAL, LARGEST, SHARE = "residual", "largest Q/limit", "share of atoms above"

COLOUR = "number of the set"

SURROUNDINGS = 3.5
"""Å around the atom that was clicked."""

Values = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Shown:
    """A structure on the map: its set, its number there, and what is known of it (NaN: nothing)."""

    of: str
    number: int
    atoms: Atoms
    properties: Mapping[str, float | str]


def frame_map(records: Records) -> Values | None:
    """Labelled test frames as points, for ``chemiscope.create_input``; None without any.

    Residual against the largest Q/limit where there is Q, else against time.
    """
    shown = _test_frames(records)
    if not shown:
        return None
    names = list(dict.fromkeys(name for one in shown for name in one.properties))
    properties = {
        name: {"target": "structure", "values": [one.properties.get(name, math.nan) for one in shown], **_about(name)}
        for name in names
    }
    x = LARGEST if LARGEST in names else "time"
    return {
        "structures": [one.atoms for one in shown],
        "properties": properties,
        "settings": {
            "x": x,
            "y": RESIDUAL,
            "map_color": "time",
            "symbol": "set",
            "periodic": True,
            "target": "structure",
        },
    }


def atom_map(records: Records) -> Values | None:
    """Atoms of labelled structures on PC1 and PC2, likewise; None where the map of the coverage has none."""
    if records.coverage is None:
        return None
    every = [*_training_frames(records, records.coverage), *_test_frames(records, MOST_WITH_ATOMS)]
    there = {(point.set, point.frame) for point in records.coverage.points}
    shown = [one for one in every if (one.of, one.number) in there]
    points = _points(records.coverage.points, shown)
    if not points:
        return None
    return {
        "structures": [one.atoms for one in shown],
        "properties": _of_atoms(records.coverage, [point for point, _ in points]),
        "environments": [(index, point.atom, SURROUNDINGS) for point, index in points],
        "settings": {
            "x": "PC1",
            "y": "PC2",
            "map_color": COLOUR,
            "symbol": "element",
            "periodic": True,
            "target": "atom",
        },
    }


def error_map(records: Records) -> Values | None:
    """Every atom of the labelled frames by its Q and its force error, likewise; None without ``atoms.json``."""
    if records.atoms is None:
        return None
    shown = [
        one for one in _test_frames(records) if any(one.of == f"{LABELLED}{m.model}" for m in records.atoms.models)
    ]
    index = {(one.of, one.number): k for k, one in enumerate(shown)}
    rows = [
        (index[f"{LABELLED}{model.model}", frame], atom, q, error, float(number))
        for number, model in enumerate(records.atoms.models)
        for frame, atom, q, error in zip(model.frame, model.atom, model.q, model.force_error, strict=True)
        if (f"{LABELLED}{model.model}", frame) in index and q is not None
    ]
    if not rows:
        return None
    used = sorted({row[0] for row in rows})  # chemiscope wants an atom of every structure
    place = {k: position for position, k in enumerate(used)}
    rows.sort(key=lambda row: (row[0], row[1]))
    models = ", ".join(f"{number}: {model.model}" for number, model in enumerate(records.atoms.models))
    columns: dict[str, tuple[list[Any], dict[str, str]]] = {
        "Q/limit": ([row[2] for row in rows], {"description": "Q over the limit of the element"}),
        "force error": ([row[3] for row in rows], {"units": "eV/Å", "description": "size of model minus reference"}),
        "element": ([shown[row[0]].atoms.symbols[row[1]] for row in rows], {"description": ""}),
        "number of the model": ([row[4] for row in rows], {"description": models}),
    }
    return {
        "structures": [shown[k].atoms for k in used],
        "properties": {
            name: {"target": "atom", "values": values, **about} for name, (values, about) in columns.items()
        },
        "environments": [(place[row[0]], row[1], SURROUNDINGS) for row in rows],
        "settings": {
            "x": "Q/limit",
            "y": "force error",
            "map_color": "number of the model",
            "symbol": "element",
            "periodic": True,
            "target": "atom",
        },
    }


def event_map(records: Records) -> Values | None:
    """Snapshots of events, before, at and after each: a row of points for each event, against its time; None without any."""
    shown = _snapshots(records)
    if not shown:
        return None
    names = list(shown[0].properties)
    return {
        "structures": [one.atoms for one in shown],
        "properties": {
            name: {"target": "structure", "values": [one.properties[name] for one in shown], **_about(name)}
            for name in names
        },
        "settings": {
            "x": "snapshot",
            "y": "number of the event",
            "map_color": "time",
            "symbol": "kind",
            "periodic": True,
            "target": "structure",
        },
    }


def _snapshots(records: Records) -> list[Shown]:
    found: list[Shown] = []
    events = 0
    for run in records.events.runs if records.events else ():
        for event, name in zip(run.report.events, run.snapshots, strict=True):
            path = records.root / "evaluation" / "events" / (name or "")
            if name is None or not path.is_file() or events == MOST_EVENTS:
                continue
            for k, atoms in enumerate(read_frames(path)):
                about: dict[str, float | str] = {
                    "kind": event.kind,
                    "what": event.words,
                    "run": f"{run.kind} of {run.model}, seed {run.seed}",
                    "time": in_ps(event.time_fs - run.start_fs),
                    "number of the event": float(events),
                    "snapshot": float(k),
                }
                found.append(Shown("events", len(found), _bare(atoms), about))
            events += 1
    return found


def _test_frames(records: Records, most: int = MOST_FRAMES) -> list[Shown]:
    found = []
    for model in records.residuals.models:
        path = records.root / "evaluation" / "frames" / f"{model.name}.extxyz"
        for k, atoms in _some(path, most):
            seed, time = int(atoms.info.get(SEED, 0)), float(atoms.info.get(TIME, math.nan))
            about: dict[str, float | str] = {
                "set": f"test of {model_label(model)}",
                "time": in_ps(time),
                "seed": float(seed),
            }
            about |= _residual(model, seed, time) | _q(records.q, model.name, seed, time)
            found.append(Shown(f"{LABELLED}{model.name}", k, _bare(atoms), about))
    return found


def _training_frames(records: Records, coverage: Coverage) -> list[Shown]:
    """Of the sets that the coverage map was fitted to."""
    strategies = {model.name: model.strategy for model in records.lineage}
    return [
        Shown(name, k, _bare(atoms), {})
        for name in coverage.fitted_to
        if name in strategies
        for k, atoms in _some(records.root / strategies[name] / "datasets" / f"{name}.extxyz", MOST_WITH_ATOMS)
    ]


def _some(path: Path, most: int) -> list[tuple[int, Atoms]]:
    if not path.is_file():
        return []
    frames = read_frames(path)
    step = max(1, -(-len(frames) // most))
    return list(enumerate(frames))[::step]


def _bare(atoms: Atoms) -> Atoms:
    return Atoms(atoms.numbers, atoms.positions.round(4), cell=atoms.cell, pbc=atoms.pbc)


def _residual(model: ModelResult, seed: int, time: float) -> dict[str, float]:
    for series in model.seeds:
        if series.seed == seed:
            for t, residual in zip(series.times_fs, series.residuals, strict=True):
                if same_time(t, time) and residual is not None:
                    return {RESIDUAL: in_mev(residual)}
    return {RESIDUAL: math.nan}


def _q(record: QRecord | None, name: str, seed: int, time: float) -> dict[str, float]:
    for model in record.models if record else ():
        if model.name == name:
            for line in model.timelines:
                for k, t in enumerate(line.times_fs if line.seed == seed else ()):
                    if same_time(t, time):
                        return {LARGEST: line.largest[k], SHARE: line.share[k]}
    return {}


def _points(points: Sequence[MapPoint], shown: Sequence[Shown]) -> list[tuple[MapPoint, int]]:
    """Points whose structure is shown, with its number; in the order of structures and atoms, as chemiscope wants them."""
    index = {(one.of, one.number): k for k, one in enumerate(shown)}
    found = [(point, index[point.set, point.frame]) for point in points if (point.set, point.frame) in index]
    return sorted(found, key=lambda pair: (pair[1], pair[0].atom))


def _of_atoms(coverage: Coverage, points: Sequence[MapPoint]) -> Values:
    sets = list(dict.fromkeys(point.set for point in points))
    columns: dict[str, list[float] | list[str]] = {
        "PC1": [p.pc1 for p in points],
        "PC2": [p.pc2 for p in points],
        "element": [p.element for p in points],
        "atoms of": [p.set for p in points],
        COLOUR: [float(sets.index(p.set)) for p in points],
    }
    if any(p.bond is not None for p in points):
        columns["bond length"] = [math.nan if p.bond is None else p.bond for p in points]
    about = {
        "PC1": axis_label(coverage, 0),
        "PC2": axis_label(coverage, 1),
        COLOUR: ", ".join(f"{k}: {name}" for k, name in enumerate(sets)),
    }
    return {
        name: {"target": "atom", "values": values, "description": about.get(name, "")}
        for name, values in columns.items()
    }


def _about(name: str) -> dict[str, str]:
    units = {"time": "ps", RESIDUAL: "meV/atom"}
    said = {
        "snapshot": "0: before, 1: at the event, 2: after it has lasted",
        RESIDUAL: "signed, model minus reference",
        LARGEST: "the largest Q over its element's limit of the frame's atoms",
        SHARE: "share of the frame's atoms with Q above their limit",
    }
    found = {"description": said.get(name, "")}
    return {**found, "units": units[name]} if name in units else found
