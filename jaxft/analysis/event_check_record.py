"""``evaluation/event_checks.json``: what the reference said of the events that it was asked about."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from jaxft.analysis.event import Event
from jaxft.analysis.event_check import OUTCOMES, Followed
from jaxft.analysis.result_file import read_result, write_result

FORMAT, VERSION = "jaxft-event-checks", 1


@dataclass(frozen=True)
class CheckedEvent:
    """One event and its check.

    model, kind, seed  the run that it happened in, as in ``RunEvents``
    number             its place in that run's report, from 0
    event              the event itself
    outcome            artefact, chemistry, unphysical or undecided
    why                in words, with numbers
    model_change       eV, energy of the model before, at and after the event, relative to before
    reference_change   likewise of the reference; None where a label failed
    force_rmse         eV/Å, of the model's forces before, at and after; None where a label failed
    failures           where a label failed ("before", "at", "after", "beyond 12.5 fs of reference
                       dynamics"): its reason
    times_fs           of the reference dynamics, the snapshot at 0; empty where a label failed before it could begin
    followed           what tells whether the event is undone; empty likewise
    drift              eV, the largest change of the total energy during the reference dynamics; None without any
    labels             how many it took, bought now or before
    """

    model: str
    kind: str
    seed: int
    number: int
    event: Event
    outcome: str
    why: str
    model_change: tuple[float, ...]
    reference_change: tuple[float | None, ...]
    force_rmse: tuple[float | None, ...]
    failures: dict[str, str]
    times_fs: tuple[float, ...]
    followed: tuple[Followed, ...]
    drift: float | None
    labels: int

    @property
    def length_fs(self) -> float:
        """How long the reference dynamics lasted."""
        return self.times_fs[-1] if self.times_fs else 0.0


@dataclass(frozen=True)
class EventChecks:
    """All checks of a run folder.

    events       how many there were to choose from
    wanted       how many checks were asked for
    timestep_fs  of the reference dynamics
    checks       the most important event first
    """

    events: int
    wanted: int
    timestep_fs: float
    checks: tuple[CheckedEvent, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Checked events by outcome, in the order of ``OUTCOMES``."""
        counted = Counter(check.outcome for check in self.checks)
        return {outcome: counted[outcome] for outcome in OUTCOMES if counted[outcome]}

    @property
    def words(self) -> str:
        """One line."""
        if not self.events:
            return "there is no event to check"
        counts = ", ".join(f"{outcome}: {n}" for outcome, n in self.counts.items())
        return f"{len(self.checks)} of {self.events} events checked ({counts})"


def write_event_checks(path: str | Path, checks: EventChecks) -> None:
    """Write ``event_checks.json`` atomically."""
    write_result(path, FORMAT, VERSION, checks)


def read_event_checks(path: str | Path) -> EventChecks:
    """Read it back. Raises InputError as ``read_result`` does."""
    return read_result(path, FORMAT, VERSION, EventChecks)
