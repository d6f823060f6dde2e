"""What went wrong, and where: runs that ended, labels that failed, energies that did not settle, models that are missing."""

from jaxft.analysis.arms import in_order
from jaxft.analysis.finding import Finding
from jaxft.analysis.q_record import QRecord
from jaxft.analysis.residuals import ModelResult, Residuals
from jaxft.analysis.trust import first_alarm
from jaxft.analysis.wording import in_ps, number, several

QUESTION = "What went wrong, and where?"


def went_wrong(result: Residuals, q: QRecord | None) -> Finding:
    """Model by model. An alarm is no proof of an error, and is counted apart."""
    models = in_order(result.models)
    ended = [_end(model, k) for model in models for k, end in enumerate(model.scores.survival.ends) if end is not None]
    failed = sum(len(series.failures) for model in models for series in model.seeds)
    unsettled = [
        f"{model.name} seed {series.seed}"
        for model in models
        for series, settling in zip(model.seeds, model.scores.settlings, strict=True)
        if not settling.settled
    ]
    broken = [str(text) for text in result.settings.get("failures", ())]
    alarmed = [m for m in (q.models if q else ()) if any(t.alarm_fs is not None for t in m.timelines)]
    sentences = [*broken, *ended]
    if failed:
        sentences.append("A label that fails in an evaluation counts as a failure at its time.")
    if unsettled:
        sentences.append(
            f"The energy had not settled, or the test is too short to tell: {several(unsettled)}. Their plateaus are provisional."
        )
    if result.missing:
        sentences.append(f"Not tested: {', '.join(result.missing)}.")
    for m in alarmed:
        times = [t.alarm_fs for t in m.timelines if t.alarm_fs is not None]
        assert q is not None, "the alarms come from it"
        sentences.append(
            f"Q alarm in {len(times)} of {len(m.timelines)} tests of {m.name}, first at {number(in_ps(min(times)))} ps "
            f"({first_alarm(m, q.atom_symbols)})."
        )
    numbers: dict[str, float | None] = {
        "tests that ended early": len(ended),
        "evaluation labels that failed": failed,
        "tests whose energy has not settled": len(unsettled),
        "models with a Q alarm": len(alarmed),
    }
    return Finding(QUESTION, _answer(len(ended), failed, len(broken)), tuple(sentences), numbers)


def _answer(ended: int, failed: int, broken: int) -> str:
    parts = []
    if broken:
        parts.append(f"{broken} {'strategy' if broken == 1 else 'strategies'} did not finish")
    if ended:
        parts.append(f"{ended} test{'s' * (ended > 1)} ended early")
    if failed:
        parts.append(f"{failed} evaluation label{'s' * (failed > 1)} failed")
    return ", ".join(parts) or "no test ended early and no evaluation label failed"


def _end(model: ModelResult, seed: int) -> str:
    end = model.scores.survival.ends[seed]
    assert end is not None, "the caller has looked"
    return f"{model.name}, seed {model.seeds[seed].seed}: ended at {number(in_ps(end.time_fs))} ps, {end.reason}."
