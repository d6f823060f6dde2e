"""What happened chemically, and whether Q had warned of it: events of tests and production, counted run by run.

An event is no artefact until the reference has been asked (protocol 8). A lead time is given from ten events on, and only events
that an alarm preceded have one; how many had none is said with it.
"""

from collections import Counter

from jaxft.analysis.event_check_record import EventChecks
from jaxft.analysis.event_record import LEAST_EVENTS, WINDOW_FS, EventsRecord, RunEvents
from jaxft.analysis.finding import Finding
from jaxft.analysis.wording import PICOSECOND, in_ps, number
from jaxft.stats.paired import upper_rate

QUESTION = "Did anything happen chemically, and had Q warned of it?"


def event_finding(record: EventsRecord, checks: EventChecks | None = None) -> Finding:
    """Over all runs, then model by model. checks: what the reference said of some of the events."""
    events = [event for run in record.runs for event in run.report.events]
    kinds = Counter(event.kind for event in events)
    by_model: dict[tuple[str, str], list[RunEvents]] = {}
    for run in record.runs:
        by_model.setdefault((run.kind, run.model), []).append(run)
    sentences = [_of_model(kind, model, runs) for (kind, model), runs in by_model.items()]
    sentences += [
        _lead(record, len(events)),
        *_checked(checks),
    ]
    numbers: dict[str, float | None] = dict(kinds)
    if record.warned is not None:
        numbers |= {"warned within the window": record.warned, "the same at all times": record.by_chance}
    numbers["median lead of alarms that came before an event, ps"] = in_ps(record.lead_fs)
    answer = "no event was found"
    if events:
        counted = ", ".join(f"{kind}: {count}" for kind, count in kinds.items())
        answer = f"{counted}; {_chance(record) or _warned(record, len(events))}"
    if checks is not None and checks.checks:
        numbers |= {f"checked by the reference: {outcome}": count for outcome, count in checks.counts.items()}
        answer += f"; {checks.words}"
    return Finding(QUESTION, answer, tuple(sentences), numbers)


def _of_model(kind: str, model: str, runs: list[RunEvents]) -> str:
    looked = [run for run in runs if run.report.why is None]
    head = f"{kind} of {model}"
    if not looked:
        return f"{head}: events were not looked for ({runs[0].report.why})."
    counts = Counter(event.kind for run in looked for event in run.report.events)
    length = sum(run.report.length_fs for run in looked)
    if counts:
        words = ", ".join(f"{name}: {count}" for name, count in counts.items())
        return f"{head}: {words}, in {number(in_ps(length))} ps."
    bound = f", so a rate below {number(upper_rate(length) * PICOSECOND)} per ps (95 %)" if length > 0.0 else ""
    return f"{head}: no event in {number(in_ps(length))} ps{bound}."


def _checked(checks: EventChecks | None) -> list[str]:
    if checks is None or not checks.checks:
        return ["Whether an event is an artefact takes reference dynamics from its snapshot; no event was checked."]
    return [
        f"{check.kind} of {check.model}, {check.event.words}: {check.outcome}, {check.why}." for check in checks.checks
    ]


def _warned(record: EventsRecord, events: int) -> str:
    before = sum(lead is not None and lead > 0.0 for run in record.runs for lead in run.leads_fs)
    return f"an alarm of Q came before {before} of {events} event{'s' * (events != 1)}"


def _chance(record: EventsRecord) -> str | None:
    """Warnings just before events beside what a signal that knows nothing would get."""
    if record.warned is None or record.by_chance is None:
        return None
    return (
        f"Q was above its limit within {number(in_ps(WINDOW_FS))} ps before {record.warned:.0%} of them, and before "
        f"{record.by_chance:.0%} of all times"
    )


def _lead(record: EventsRecord, events: int) -> str:
    counted = _warned(record, events)
    if record.lead_fs is None:
        return f"No lead time: {record.why_no_lead or f'fewer than {LEAST_EVENTS} events'}; {counted}."
    return (
        f"{counted[0].upper()}{counted[1:]}, of these the median lead is {number(in_ps(record.lead_fs))} ps (no error bar: events "
        "of one run are not independent); an alarm that is on most of the time comes before many events by chance."
    )
