"""Until when, and for which observables, a model can be trusted: what its own tests showed, and nothing beyond their length.

The last model of each strategy. Surviving is not being right: energies and forces have their scores, and what has not been
compared with the reference is named.
"""

from jaxft.analysis.arms import arms
from jaxft.analysis.coverage_record import Coverage
from jaxft.analysis.cross import CrossRecord
from jaxft.analysis.finding import Finding
from jaxft.analysis.q_model import ENOUGH_FRAMES
from jaxft.analysis.q_record import ModelQ, QRecord
from jaxft.analysis.residuals import ModelResult, Residuals
from jaxft.analysis.wording import PICOSECOND, in_mev, in_ps, number, percent, with_error

MANY_ALARMS = 0.1
"""Share of frames of a segment that was left out; above it an alarm does not tell a new place from another box."""

QUESTION = "Until when can a model be trusted, and for which observables?"


def trust(result: Residuals, q: QRecord | None, coverage: Coverage | None, cross: CrossRecord | None) -> Finding:
    """Of energies and forces; structure has a finding of its own."""
    last = [models[-1] for models in arms(result.models).values()]
    if not last:
        return Finding(QUESTION, "can't be told: no fine-tuned model has been tested", (), {})
    sentences: list[str] = []
    answers: list[str] = []
    numbers: dict[str, float | None] = {}
    for model in last:
        until = trusted_until(model)
        answers.append(f"{model.name}: {_until(model, until)}{_doubt(model, q)}")
        numbers[f"{model.name}: no end before, ps"] = in_ps(until)
        rate = model.scores.survival.upper_rate_per_fs
        numbers[f"{model.name}: rate of ends below (95 %), per ps"] = None if rate is None else rate * PICOSECOND
        sentences += [_survival(model), _observables(model)]
        sentences += _alarms(model, q) + _outside(model, coverage)
    if cross is None or not cross.distances:
        sentences.append(
            "No dynamics of the reference itself was there to compare with (evaluation.common_set), so the ensemble is not judged."
        )
    sentences.append("Transport (diffusion) is not judged: test runs are short and boxes small.")
    return Finding(QUESTION, "; ".join(answers), tuple(sentences), numbers)


def trusted_until(model: ModelResult) -> float:
    """Time in fs of the first end of any seed, or the shortest length of the tests."""
    ends = [end.time_fs for end in model.scores.survival.ends if end is not None]
    return min([model.scores.survival.horizon_fs, *ends])


def _until(model: ModelResult, until: float) -> str:
    if model.scores.survival.n_ended:
        return f"its first test ended at {number(in_ps(until))} ps"
    return f"no test ended within {number(in_ps(until))} ps, nothing is known beyond"


def _doubt(model: ModelResult, q: QRecord | None) -> str:
    mine = _base_q(model, q)
    times = _alarm_times(mine)
    if mine is None or not times:
        return ""
    if mine.left_out and max(mine.left_out) > MANY_ALARMS:
        return ", and Q alarms, as it does on most boxes that it was not trained on"
    return f", and Q alarms from {number(in_ps(times[0]))} ps on"


def _base_q(model: ModelResult, q: QRecord | None) -> ModelQ | None:
    return next((m for m in q.models if m.name == model.name and m.descriptors == "base"), None) if q else None


def _alarm_times(mine: ModelQ | None) -> list[float]:
    return sorted(line.alarm_fs for line in mine.timelines if line.alarm_fs is not None) if mine else []


def _survival(model: ModelResult) -> str:
    survival = model.scores.survival
    rate = survival.upper_rate_per_fs
    bound = (
        ""
        if rate is None
        else f"; with 95 % confidence it ends less often than {number(rate * PICOSECOND)} times per ps"
    )
    length = f"{survival.n_seeds} tests of {number(in_ps(survival.horizon_fs))} ps"
    ended = "none" if not survival.n_ended else f"{survival.n_ended}"
    return f"{model.name}: {ended} of {length} ended{bound}."


def _observables(model: ModelResult) -> str:
    drift, rmse = model.scores.drift.drift, model.scores.forces.rmse
    return (
        f"{model.name}: energies drift by {with_error(in_mev(drift.value), in_mev(drift.error), signed=True)} meV/atom from "
        f"training to test{_why(drift.why)}; forces are wrong by {with_error(in_mev(rmse.value), in_mev(rmse.error))} meV/Å"
        f"{_why(rmse.why)}."
    )


def _why(why: str | None) -> str:
    return "" if why is None else f" ({why})"


def _alarms(model: ModelResult, q: QRecord | None) -> list[str]:
    mine = _base_q(model, q)
    if q is None or mine is None or not mine.timelines:
        return []
    times = _alarm_times(mine)
    said = f"{model.name}: Q raised an alarm in {len(times)} of {len(mine.timelines)} tests"
    if times:
        said += f", first at {number(in_ps(times[0]))} ps ({first_alarm(mine, q.atom_symbols)})"
    weak = (
        ""
        if mine.enough
        else f" Its limit rests on {number(mine.calibration_effective)} independent frames where {ENOUGH_FRAMES} are asked for, "
        "so alarms are provisional."
    )
    return [f"{said}.{weak}", *_left_out(mine)]


def _left_out(mine: ModelQ) -> list[str]:
    """What its limit is worth on dynamics that the labels did not come from."""
    said = []
    if mine.left_out:
        shares = ", ".join(percent(share) for share in mine.left_out)
        said.append(
            f"{mine.name}: where a segment of the sampling is left out of training and calibration, {shares} of its frames are "
            f"above the frame limit (nominal {percent(mine.frame_rate)}); an alarm on a box of its own may mean no more than that."
        )
    if mine.without:
        said.append(
            f"{mine.name}: {', '.join(mine.without)} has no Q model (all its atoms look alike), so it never alarms."
        )
    return said


def first_alarm(mine: ModelQ, symbols: tuple[str, ...]) -> str:
    """Which atom had the largest Q/limit when the first alarm began."""
    line = min((t for t in mine.timelines if t.alarm_fs is not None), key=lambda t: t.alarm_fs or 0.0)
    atom = line.atom[line.times_fs.index(line.alarm_fs)] if line.alarm_fs in line.times_fs else -1
    return f"{symbols[atom]} atom {atom}, seed {line.seed}" if 0 <= atom < len(symbols) else f"seed {line.seed}"


def _outside(model: ModelResult, coverage: Coverage | None) -> list[str]:
    if coverage is None:
        return []
    for share in coverage.shares:
        if (share.of, share.outside, share.element) == (f"test {model.name}", model.name, "all"):
            null = (
                f" (between halves of the training set: {percent(share.null)})"
                if share.null is not None
                else " (no null)"
            )
            return [
                f"{model.name}: {percent(share.share)} of the atoms of its tests lie outside its training set{null}."
            ]
    return []
