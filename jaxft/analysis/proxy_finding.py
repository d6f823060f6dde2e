"""Is the Q residual a good proxy for the error here? Yes only if it beats chance and every rival (protocol 6); else no."""

from collections.abc import Sequence

from jaxft.analysis.finding import Finding
from jaxft.analysis.proxy import Proxy
from jaxft.analysis.q_record import QRecord
from jaxft.stats.bootstrap import Interval

QUESTION = "Is the Q residual a good proxy for the error here?"

RIVALS = {
    "committee": "committee spread",
    "distance": "distance to the nearest training environment",
    "force": "size of the force",
    "contact": "closest contact",
}
"""Of protocol 6: part of the signal's name, and what to call it where it is missing."""


def proxy_finding(q: QRecord) -> Finding:
    """From the first kind of signals that was judged."""
    judged = next((proxies for proxies in q.proxies.values() if proxies), ())
    if not judged:
        return Finding(QUESTION, "can't be told", (f"Not judged: {q.no_proxy or 'no labelled frame'}.",), {})
    first, rivals = judged[0], judged[1:]
    sentences = [
        f"Bad atoms (the tenth of each element with the largest force errors) are found with an AUROC of "
        f"{interval(first.auroc)}; 0.5 is chance. Rank correlation with |ΔF|: {interval(first.spearman)}; per frame with the "
        f"energy error: {interval(first.frame_spearman)}.",
        _regression(first),
        *(_rival(rival) for rival in rivals),
    ]
    absent = [words for part, words in RIVALS.items() if not any(part in rival.signal for rival in rivals)]
    if absent:
        sentences.append(f"Not compared with: {', '.join(absent)}.")
    numbers: dict[str, float | None] = {"AUROC of Q": first.auroc.value, "Spearman of Q": first.spearman.value}
    numbers |= {f"AUROC of Q minus that of {rival.signal}": _value(rival.auroc_lead) for rival in rivals}
    return Finding(QUESTION, _answer(first, rivals, absent), tuple(sentences), numbers)


def interval(of: Interval | None) -> str:
    """ "0.63 (0.58 to 0.66)", or why there is no interval."""
    if of is None or of.value is None:
        return "not defined"
    if of.low is None or of.high is None:
        return f"{_two(of.value)} (no interval from {of.groups} trajectories)"
    return f"{_two(of.value)} ({_two(of.low)} to {_two(of.high)})"


def _two(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")


def _answer(first: Proxy, rivals: Sequence[Proxy], absent: Sequence[str]) -> str:
    if first.auroc.low is None:
        return "can't be told: too few trajectories for an interval"
    if first.auroc.low <= 0.5:
        return "no: not better than chance"
    unbeaten = [rival.signal for rival in rivals if not rival.beaten and "Q residual" not in rival.signal]
    if unbeaten:
        return f"no: better than chance, but not shown to beat {', '.join(unbeaten)}"
    return "yes, of the signals compared" if absent else "yes: it beats chance and every rival"


def _regression(first: Proxy) -> str:
    if first.regression is None:
        return "How large an error is was not predicted: one half of the seeds has too few frames."
    r2 = first.regression.r2_test
    said = "explains nothing of" if r2 <= 0.0 else f"explains {100 * r2:.1f} % of the variance of"
    return f"A line in log Q, fitted to half of the seeds, {said} log |ΔF| on the other half (R² = {_two(r2)}, no error bar)."


def _rival(rival: Proxy) -> str:
    verdict = {True: "Q beats it", False: "not shown to be beaten", None: "can't be told"}[rival.beaten]
    lead = interval(rival.auroc_lead)
    return f"{rival.signal}: AUROC {interval(rival.auroc)}; Q leads by {lead}: {verdict}."


def _value(of: Interval | None) -> float | None:
    return None if of is None else of.value
