"""Everything that a report is made from: the records of a run folder, those that are there. Nothing is run, nothing computed.

A further record gets a field here, its reader in ``_READERS``, and a section (``sections.py``).
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxft.analysis.atom_scores import AtomsRecord, read_atoms
from jaxft.analysis.coverage_record import Coverage, read_coverage
from jaxft.analysis.cross import CrossRecord, read_cross
from jaxft.analysis.event_check_record import EventChecks, read_event_checks
from jaxft.analysis.event_record import EventsRecord, read_events
from jaxft.analysis.q_record import QRecord, read_q
from jaxft.analysis.residuals import Residuals, read_residuals
from jaxft.analysis.structure_record import StructureRecord, read_structure
from jaxft.analysis.verdict import Verdict, read_verdict
from jaxft.errors import InputError
from jaxft.report.lineage import Descent, read_lineage

_READERS: dict[str, Callable[[Path], Any]] = {
    "verdict": read_verdict,
    "qresidual": read_q,
    "coverage": read_coverage,
    "cross": read_cross,
    "events": read_events,
    "structure": read_structure,
    "event_checks": read_event_checks,
    "atoms": read_atoms,
}
"""Records under ``evaluation/`` that a run may have or not, by the name of their file."""


@dataclass(frozen=True, eq=False)
class Records:
    """The records of one run folder; None where there is none.

    production long runs of single models
    run        what ``record.json`` holds; ``finished`` among it
    lineage    provenance of the models
    unreadable what is there and could not be read, in words
    """

    root: Path
    residuals: Residuals
    run: Mapping[str, Any] | None
    verdict: Verdict | None
    q: QRecord | None
    coverage: Coverage | None
    cross: CrossRecord | None
    events: EventsRecord | None
    structure: StructureRecord | None
    checks: EventChecks | None
    atoms: AtomsRecord | None
    production: tuple[Residuals, ...]
    lineage: tuple[Descent, ...]
    unreadable: tuple[str, ...]

    @property
    def going(self) -> bool:
        """Whether the run says that it has not finished."""
        return self.run is not None and self.run.get("finished") is False

    @property
    def configuration(self) -> Mapping[str, Any]:
        """The configuration of the run; empty where it left none."""
        return {} if self.run is None else dict(self.run.get("configuration") or {})


def read_records(root: Path) -> Records:
    """Read what is there. A damaged record of the analysis is named in ``unreadable``, and the rest is read.

    Raises InputError where the folder holds neither ``record.json`` nor ``evaluation/residuals.json``, or one of these two is
    damaged or newer than this code: they say what the run is.
    """
    run, residuals = root / "record.json", root / "evaluation" / "residuals.json"
    if not run.is_file() and not residuals.is_file():
        raise InputError(
            f"{root} holds no record.json and no evaluation/residuals.json; expected the folder of a jaxft run"
        )
    record = _run_record(run)
    tested = read_residuals(residuals) if residuals.is_file() else _nothing_tested(record or {})
    lineage, unreadable = read_lineage(root)
    found: dict[str, Any] = {}
    for name, reader in _READERS.items():
        path = root / "evaluation" / f"{name}.json"
        try:
            found[name] = reader(path) if path.is_file() else None
        except InputError as error:
            unreadable.append(str(error).replace(f"{root}/", ""))
            found[name] = None
    return Records(
        root=root,
        residuals=tested,
        run=record,
        verdict=found["verdict"],
        q=found["qresidual"],
        coverage=found["coverage"],
        cross=found["cross"],
        events=found["events"],
        structure=found["structure"],
        checks=found["event_checks"],
        atoms=found["atoms"],
        production=tuple(_production(root, unreadable)),
        lineage=tuple(lineage),
        unreadable=tuple(unreadable),
    )


def _production(root: Path, unreadable: list[str]) -> list[Residuals]:
    """Long runs of single models, each a record like that of all tests."""
    found = []
    for path in sorted((root / "production").glob("*.json")):
        try:
            found.append(read_residuals(path))
        except InputError as error:
            unreadable.append(str(error).replace(f"{root}/", ""))
    return found


def _nothing_tested(record: Mapping[str, Any]) -> Residuals:
    """Of a run that has no tests yet."""
    configuration = record.get("configuration") or {}
    return Residuals(bool(configuration.get("demonstration", False)), (), {}, ())


def _run_record(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is not JSON ({error}); remove it to report without it") from error
    if not isinstance(record, dict):
        raise InputError(f"{path} holds a {type(record).__name__}, expected a record; remove it to report without it")
    return {key: value for key, value in record.items() if key not in ("format", "format_version")}
