"""``verdict.json`` of a run: written anew whenever a record of it was."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from jaxft.analysis.coverage_record import read_coverage
from jaxft.analysis.cross import read_cross
from jaxft.analysis.event_check_record import read_event_checks
from jaxft.analysis.event_record import read_events
from jaxft.analysis.q_record import read_q
from jaxft.analysis.residuals import read_residuals
from jaxft.analysis.structure_record import read_structure
from jaxft.analysis.verdict import verdict, write_verdict
from jaxft.errors import InputError
from jaxft.study.layout import Layout


def write_verdict_of(layout: Layout, left_out: Sequence[str]) -> tuple[str, ...]:
    """From the records that are there; returns which of them could not be read, in words, and does without.

    left_out: what the records were made without, in words; the verdict says so.
    """
    unreadable: list[str] = []

    def found(name: str, read: Callable[[Path], Any]) -> Any:
        path = layout.evaluation(name)
        try:
            return read(path) if path.exists() else None
        except InputError as error:
            unreadable.append(str(error))
            return None

    judged = verdict(
        found("residuals", read_residuals),
        found("qresidual", read_q),
        found("coverage", read_coverage),
        found("cross", read_cross),
        found("events", read_events),
        found("structure", read_structure),
        found("event_checks", read_event_checks),
    )
    write_verdict(layout.evaluation("verdict"), replace(judged, missing=(*judged.missing, *left_out)))
    return tuple(unreadable)
