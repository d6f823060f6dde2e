"""Made-up records of a small study, whole enough to draw every section of a report; known numbers, no potential."""

import json
from dataclasses import replace

import numpy as np
from ase import Atoms
from synthetic_runs import WATERY, study

from jaxft.analysis.atom_scores import AtomScores, AtomsRecord, write_atoms
from jaxft.analysis.bond_lengths import BondLengths
from jaxft.analysis.coordination import Coordination
from jaxft.analysis.coverage import Share
from jaxft.analysis.coverage_record import Coverage, MapPoint, write_coverage
from jaxft.analysis.cross import CrossCell, CrossRecord, EnsembleDistance, write_cross
from jaxft.analysis.estimate import Estimate
from jaxft.analysis.event import COORDINATION_CHANGE, Event
from jaxft.analysis.event_check import ARTEFACT
from jaxft.analysis.event_check_record import CheckedEvent, EventChecks, write_event_checks
from jaxft.analysis.event_record import RunEvents, events_record, write_events
from jaxft.analysis.events import EventReport, EventSettings
from jaxft.analysis.proxy import Proxy
from jaxft.analysis.q_record import ElementLimits, ModelQ, QRecord, Timeline, write_q
from jaxft.analysis.rdf import PairRdf, Rdf
from jaxft.analysis.residuals import read_residuals, residuals_record, write_residuals
from jaxft.analysis.structure_record import SetStructure, StructureRecord, write_structure
from jaxft.analysis.verdict import verdict, write_verdict
from jaxft.stats.bootstrap import Interval
from jaxft.stats.ranking import Regression
from jaxft.structures.extxyz import format_frame

MODELS = (("N-50pts", "naive", 50), ("FT3", "periodic", 50))
SYMBOLS = ("Co", "Cl", "O", "H", "H")
BOX = 8.5


def q_record(**changes):
    """Q models of two models; the first test of FT3 has an alarm at 0.4 ps by its atom 0."""
    limits = ElementLimits(
        60, 3, 0.9, 100, 12.0, 0.01, 400, 6.0, 9.0, {"held out": 0.02, "jackson-mudholkar": 0.5, "t2": None}
    )
    times = tuple(float(t) for t in range(100, 5001, 100))

    def line(seed, alarm):
        largest = tuple(3.0 if alarm is not None and t >= alarm else 0.8 for t in times)
        return Timeline(seed, times, largest, (0,) * len(times), tuple(0.1 for _ in times), alarm)

    models = tuple(
        ModelQ(name, strategy, budget, "base", budget, {"Co": limits, "O": limits}, 300, 250.0, True, 2.0, 0.01,
               (line(0, 400.0 if name == "FT3" else None), line(1, None)))
        for name, strategy, budget in MODELS
    )  # fmt: skip
    record = QRecord("last", 64, 0.01, SYMBOLS, models, {"atoms": tuple(proxies())}, None)
    return replace(record, **changes)


def interval(value, half=0.05, groups=12):
    """Of 95 %."""
    return Interval(value, value - half, value + half, 0.95, groups)


def proxies(q=0.7, rival=0.6, beaten=True):
    """Q, and one rival that it leads by the difference."""
    line = Regression(1.0, 0.0, 0.2, 0.15)
    curve = ([0.0, 0.5, 1.0], [0.0, 0.8, 1.0])
    return [
        Proxy("Q residual", 1000, interval(0.3), interval(q), curve, interval(0.1), line, None, None),
        Proxy("force", 1000, interval(0.2), interval(rival), curve, interval(0.1), None, interval(q - rival), beaten),
    ]


def coverage_record(**changes):
    """Two training sets and their tests, a cloud for each element."""
    rng = np.random.default_rng(0)
    points = []
    for name in (n for model, *_ in MODELS for n in (model, f"test {model}", f"frames {model}")):
        for frame in range(3):
            for atom, element in enumerate(SYMBOLS):
                pc1, pc2 = np.array([atom, -atom]) + 0.1 * rng.normal(size=2)
                bond = 0.97 if element == "H" else None
                points.append(MapPoint(name, frame, atom, element, float(pc1), float(pc2), bond))
    shares = tuple(Share(f"test {m}", m, e, 0.031, 0.012, 0.05, 0.04, 500) for m, *_ in MODELS for e in ("all", "O"))
    across = tuple(Share(a, b, "all", 0.2, 0.01, 0.1, 0.1, 100) for a, b in (("N-50pts", "FT3"), ("FT3", "N-50pts")))
    new = (Share("test FT3", "all before FT3", "all", 0.01, 0.02, 0.1, 0.1, 500),)
    record = Coverage(("N-50pts", "FT3"), (0.3, 0.12, 0.1), {"O": 1.0}, shares + across, new, tuple(points), ())
    return replace(record, **changes)


def cross_record(result, **changes):
    """Every model on the frames of every other, with the residual that it has on its own."""
    cells, seeds, times = [], {}, {}
    for model in result.models:
        pairs = [
            (s.seed, t) for s in model.seeds for t, r in zip(s.times_fs, s.residuals, strict=True) if r is not None
        ]
        seeds[model.name], times[model.name] = tuple(s for s, _ in pairs), tuple(t for _, t in pairs)
        for k, other in enumerate(result.models):
            residual = 0.001 * k
            energies = (residual,) * len(pairs)
            cells.append(CrossCell(other.name, model.name, len(pairs), residual, 0.001, 0.1 + k, {"O": 0.1}, energies))
    distances = (EnsembleDistance("FT3", 2.5, 0.4, 100, 60),)
    return replace(CrossRecord(tuple(cells), seeds, times, distances, ()), **changes)


def events():
    """One change of coordination in the first test of FT3, 0.2 ps after the alarm; none in that of N-50pts."""
    event = Event(
        COORDINATION_CHANGE,
        1600.0,
        160,
        159,
        165,
        (0, 1),
        ("Co", "Cl"),
        3.1,
        None,
        ("CoCl3O", "CoCl4"),
        "Co0: CoCl3O -> CoCl4",
    )
    found = []
    for name, of_run in (("N-50pts", ()), ("FT3", (event,))):
        shells = {"Co0": "CoCl3O"}, {"Co0": "CoCl4" if of_run else "CoCl3O"}
        report = EventReport(None, 500, 10.0, 5000.0, of_run, (), (), *shells, None, EventSettings())
        files = tuple(f"test-{name}-0-0.extxyz" for _ in of_run)
        found.append(RunEvents(name, "test", 0, 1000.0, report, tuple(200.0 for _ in of_run), files))
    return events_record(tuple(found))


def checks():
    """The event of FT3, which the reference undid."""
    (event,) = events().runs[1].report.events
    one = CheckedEvent(
        "FT3", "test", 0, 0, event, ARTEFACT, "Co0-Cl1 parted after 40 fs", (0.0, 0.1, 0.1), (0.0, 0.5, 0.4), (0.1, 0.2, 0.2), {},
        (0.0, 100.0), (), 0.01, 203,
    )  # fmt: skip
    return EventChecks(1, 1, 0.5, (one,))


def atoms_record(result):
    """Of FT3's labelled frames: the force error of an atom is a tenth of its Q."""
    n = sum(r is not None for model in result.models if model.name == "FT3" for s in model.seeds for r in s.residuals)
    atom = tuple(k for _ in range(n) for k in range(len(SYMBOLS)))
    frame = tuple(f for f in range(n) for _ in SYMBOLS)
    q = tuple(0.5 + 0.01 * k for k in range(len(atom)))
    return AtomsRecord((AtomScores("FT3", frame, atom, q, tuple(0.1 * value for value in q)),))


def structure_record(reference=True, number=5.0):
    """Co has ``number`` neighbors in each model's test and 4 in the reference's dynamics, ± 0.1 both."""

    def one(name, mean):
        pair = PairRdf(("Co", "O"), (0.0, 2.0, 1.0), (0.0, 0.2, 0.1), (0.0, 3.0, 5.0), (0.0, 0.1, 0.1))
        center = Coordination(
            "Co",
            {"O": 2.5},
            Estimate(mean, 0.1, 100, 50.0),
            {"O": Estimate(mean, 0.1, 100, 50.0)},
            ((4, 1.0),),
            (("CoO4", 1.0),),
            100,
        )
        bond = BondLengths(name, "H", "O", 100, 0.98, 0.03, 0.9, 1.1, (0.8, 0.9, 1.0, 1.1), (0.0, 5.0, 5.0), 0.0, None)
        return SetStructure(name, Rdf((1.0, 2.0, 3.0, 4.0), (pair,), 100, 500.0, None), (center,), (bond,), (), ())

    names = [f"test {model}" for model, *_ in MODELS]
    sets = [one(name, number) for name in names] + ([one("common set", 4.0)] if reference else [])
    return StructureRecord(tuple(sets))


def write_run(root, *, finished=True, demonstration=True):
    """A run folder with every record, provenance of its last models, frames to look at, and the log's wall times."""
    evaluation = root / "evaluation"
    write_residuals(evaluation / "residuals.json", residuals_record(study(), demonstration=demonstration))
    result = read_residuals(evaluation / "residuals.json")
    parts = q_record(), coverage_record(), cross_record(result), events(), structure_record(), checks()
    write_atoms(evaluation / "atoms.json", atoms_record(result))
    writers = (write_q, write_coverage, write_cross, write_events, write_structure, write_event_checks)
    for name, write, record in zip(
        ("qresidual", "coverage", "cross", "events", "structure", "event_checks"), writers, parts, strict=True
    ):
        write(evaluation / f"{name}.json", record)
    write_verdict(evaluation / "verdict.json", verdict(result, *parts))
    for model in result.models:
        _write_frames(evaluation / "frames" / f"{model.name}.extxyz", model)
    for name, strategy, budget in MODELS:
        _write_model(root / strategy, name, budget)
    events_folder = evaluation / "events"
    events_folder.mkdir()
    (events_folder / "test-FT3-0-0.extxyz").write_text(
        "".join(format_frame(_box(k), {}, {"when": "at"}, {}) for k in range(3))
    )
    (root / "log.txt").write_text("2026-01-01 00:00:00  fine-tune FT3: 600 updates in 36.0 s, loss 0.1\n")
    configuration = {
        "demonstration": demonstration,
        "labels": {"store": "labels.db"},
        "md": {"timestep_fs": 0.5, "equilibrate_ps": 1.0},
    }
    record = {
        "format": "jaxft-run",
        "format_version": 1,
        "finished": finished,
        "configuration": configuration,
        "seed": 0,
    }
    (root / "record.json").write_text(json.dumps(record))
    return root


def _box(seed):
    positions = np.random.default_rng(seed).uniform(0.0, BOX, size=(len(WATERY), 3))
    return Atoms(WATERY, positions, cell=[BOX] * 3, pbc=True)


def _write_frames(path, model):
    path.parent.mkdir(parents=True, exist_ok=True)
    texts = []
    for series in model.seeds:
        for time, energy in zip(series.times_fs, series.reference_energies, strict=True):
            label = {} if energy is None else {"REF_energy": energy}
            texts.append(
                format_frame(_box(int(time)), {}, {**label, "test_seed": series.seed, "test_time_fs": time}, {})
            )
    path.write_text("".join(texts))


def _write_model(folder, name, budget):
    about = {
        "name": name, "parent": "base", "n_labels": budget, "n_effective": 0.9 * budget, "labels_sha256": f"labels of {name}",
        "parent_sha256": "of base", "base_sha256": "of base", "updates_done": 600, "best_update": 600, "failure": None,
    }  # fmt: skip
    record = {
        "format": "jaxft-potential",
        "format_version": 1,
        "params_sha256": f"weights of {name}",
        "provenance": about,
    }
    path = folder / "models" / name / "config.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(record))
    (folder / "datasets").mkdir()
    (folder / "datasets" / f"{name}.extxyz").write_text(
        "".join(format_frame(_box(k), {}, {"REF_energy": -1.0 - k}, {}) for k in range(3))
    )
