"""``evaluation/verdict.json``: what the records of a run say, in words with their numbers.

The decisions are small pure functions of records, one file for each question; what a record does not hold is not said. The
study writes the verdict whenever it writes a record; the report only shows it.
"""

from dataclasses import dataclass
from pathlib import Path

from jaxft.analysis.arms import arms
from jaxft.analysis.compare_strategies import compare_strategies
from jaxft.analysis.coverage_record import Coverage
from jaxft.analysis.cross import CrossRecord
from jaxft.analysis.enough_labels import enough_labels
from jaxft.analysis.event_check_record import EventChecks
from jaxft.analysis.event_finding import event_finding
from jaxft.analysis.event_record import EventsRecord
from jaxft.analysis.finding import Finding
from jaxft.analysis.proxy_finding import proxy_finding
from jaxft.analysis.q_record import QRecord
from jaxft.analysis.residuals import Residuals
from jaxft.analysis.result_file import read_result, write_result
from jaxft.analysis.structure_finding import structure_finding
from jaxft.analysis.structure_record import StructureRecord
from jaxft.analysis.trust import trust
from jaxft.analysis.went_wrong import went_wrong

FORMAT, VERSION = "jaxft-verdict", 1


@dataclass(frozen=True)
class Verdict:
    """Findings in the order in which a reader asks; ``missing``: what was not judged, and why."""

    demonstration: bool
    findings: tuple[Finding, ...]
    missing: tuple[str, ...]


def verdict(
    residuals: Residuals | None,
    q: QRecord | None,
    coverage: Coverage | None,
    cross: CrossRecord | None,
    events: EventsRecord | None = None,
    structure: StructureRecord | None = None,
    checks: EventChecks | None = None,
) -> Verdict:
    """From what there is; any of the records may be None. checks: what the reference said of some events."""
    findings: list[Finding] = []
    missing = [
        f"no {name} yet"
        for name, record in (
            ("tests of models", residuals),
            ("Q residuals", q),
            ("coverage", coverage),
            ("cross-evaluation", cross),
            ("events", events),
            ("structure", structure),
        )
        if record is None
    ]
    if residuals is not None:
        findings += [
            compare_strategies(residuals, cross),
            trust(residuals, q, coverage, cross),
            *_structure(residuals, structure),
            enough_labels(residuals),
            went_wrong(residuals, q),
        ]
    if events is not None:
        findings.append(event_finding(events, checks))
    if q is not None:
        findings.append(proxy_finding(q))
    return Verdict(residuals is not None and residuals.demonstration, tuple(findings), tuple(missing))


def _structure(residuals: Residuals, structure: StructureRecord | None) -> list[Finding]:
    """Of the last model of each strategy."""
    if structure is None:
        return []
    return [structure_finding(structure, [models[-1].name for models in arms(residuals.models).values()])]


def write_verdict(path: str | Path, record: Verdict) -> None:
    """Write ``verdict.json`` atomically."""
    write_result(path, FORMAT, VERSION, record)


def read_verdict(path: str | Path) -> Verdict:
    """Read it back. Raises InputError as ``read_result`` does."""
    return read_result(path, FORMAT, VERSION, Verdict)
