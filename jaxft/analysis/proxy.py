"""Is the Q residual a good proxy for the error? Judged on frames that the reference has labelled, against signals that anyone has.

Per atom: the signal against |ΔF| = ‖F_model - F_ref‖, ranked within the element. Bad atoms are the tenth of each element with
the largest errors. Per frame: the largest signal of its atoms against the energy error without the offset, |Δ - ⟨Δ⟩_model|,
ranked within the model. Intervals resample whole trajectories. A rival is beaten where the interval of the difference lies
above zero; an honest no is a result (protocol 6).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from jaxft.errors import InputError
from jaxft.stats.bootstrap import RESAMPLES, Interval, group_bootstrap
from jaxft.stats.ranking import Regression, auroc, ranks_within, regression_by_halves, roc_points, spearman

BAD = 0.9
"""Quantile of |ΔF| of an element above which an atom is bad."""


@dataclass(frozen=True, eq=False)
class LabelledAtoms:
    """Atoms of labelled frames of all models.

    numbers      (rows,)
    frame        (rows,) number of the frame over all models and trajectories
    force_error  (rows,) |ΔF| in eV/Å
    signals      name → (rows,); larger means more suspicious; NaN where a signal has nothing to say of an atom
    run          (frames,) which trajectory a frame is of
    seed         (frames,) test seed: even ones fit, odd ones test
    model        (frames,) number of the model
    energy_error (frames,) |Δ - ⟨Δ⟩| in eV/atom
    """

    numbers: Int[np.ndarray, "rows"]
    frame: Int[np.ndarray, "rows"]
    force_error: Float[np.ndarray, "rows"]
    signals: Mapping[str, Float[np.ndarray, "rows"]]
    run: Int[np.ndarray, "frames"]
    seed: Int[np.ndarray, "frames"]
    model: Int[np.ndarray, "frames"]
    energy_error: Float[np.ndarray, "frames"]


@dataclass(frozen=True)
class Proxy:
    """How one signal does.

    atoms            rows that it has a value for
    spearman         against |ΔF| of the atom
    auroc            for bad atoms
    roc              rates of false alarms and of hits
    frame_spearman   of the frame's largest against its energy error
    regression       log |ΔF| on log signal, an intercept for each element, fitted on even test seeds and judged on odd ones;
                     None without both
    auroc_lead       AUROC of the first signal (Q) minus that of this one, on the rows that both have; None for the first itself
    beaten           whether the first signal beats this one (the interval of the lead above 0); None where it can't be told
    """

    signal: str
    atoms: int
    spearman: Interval
    auroc: Interval
    roc: tuple[list[float], list[float]]
    frame_spearman: Interval
    regression: Regression | None
    auroc_lead: Interval | None
    beaten: bool | None


def judge_signals(of: LabelledAtoms, resamples: int = RESAMPLES) -> list[Proxy]:
    """Every signal, the first of which the others are compared with. Raises InputError where no frame is labelled."""
    if len(of.frame) == 0:
        raise InputError("no labelled frame of any model's dynamics; a proxy is judged on those, so label some first")
    first = next(iter(of.signals))
    return [_judge(of, name, None if name == first else first, resamples) for name in of.signals]


def _judge(of: LabelledAtoms, name: str, rival_of: str | None, resamples: int) -> Proxy:
    rows = np.isfinite(of.signals[name]) & np.isfinite(of.force_error)
    if rival_of is not None:
        rows &= np.isfinite(of.signals[rival_of])
    signal, error, numbers = of.signals[name][rows], of.force_error[rows], of.numbers[rows]
    # within element and model: that one model is worse, or one element, is no prediction
    strata = numbers + 1000 * of.model[of.frame[rows]]
    x, y = ranks_within(signal, strata), ranks_within(error, strata)
    bad, run = y > BAD, of.run[of.frame[rows]]
    lead = None
    if rival_of is not None:
        theirs = ranks_within(of.signals[rival_of][rows], strata)
        lead = group_bootstrap(lambda k: auroc(theirs[k], bad[k]) - auroc(x[k], bad[k]), run, resamples=resamples)
    return Proxy(
        signal=name,
        atoms=int(rows.sum()),
        spearman=group_bootstrap(lambda k: spearman(x[k], y[k]), run, resamples=resamples),
        auroc=group_bootstrap(lambda k: auroc(x[k], bad[k]), run, resamples=resamples),
        roc=roc_points(x, bad) if bad.any() and not bad.all() else ([], []),
        frame_spearman=_of_frames(of, name, rows, resamples),
        regression=_regression(signal, error, numbers, of.seed[of.frame[rows]]),
        auroc_lead=lead,
        beaten=None if lead is None or lead.low is None else lead.low > 0.0,
    )


def _of_frames(of: LabelledAtoms, name: str, rows: np.ndarray, resamples: int) -> Interval:
    largest = np.full(len(of.run), -np.inf)
    np.maximum.at(largest, of.frame[rows], of.signals[name][rows])
    known = np.isfinite(largest) & np.isfinite(of.energy_error)
    x = ranks_within(largest[known], of.model[known])
    y = ranks_within(of.energy_error[known], of.model[known])
    return group_bootstrap(lambda k: spearman(x[k], y[k]), of.run[known], resamples=resamples)


def _regression(
    signal: Float[np.ndarray, "rows"],
    error: Float[np.ndarray, "rows"],
    numbers: Int[np.ndarray, "rows"],
    seed: Int[np.ndarray, "rows"],
) -> Regression | None:
    """On logarithms where the signal is positive throughout, which distances and spreads are; a negative one enters as it is.

    One slope and, since elements have errors of different size, an intercept for each, which the fitted half decides.
    """
    good = error > 0.0
    x = np.log(signal[good]) if (signal[good] > 0.0).all() else signal[good].copy()
    y, numbers, fit_on = np.log(error[good]), numbers[good], seed[good] % 2 == 0
    known = np.isin(numbers, numbers[fit_on])
    x, y, numbers, fit_on = x[known], y[known], numbers[known], fit_on[known]
    for number in np.unique(numbers):
        mine = numbers == number
        x[mine] -= x[mine & fit_on].mean()
        y[mine] -= y[mine & fit_on].mean()
    return regression_by_halves(x, y, fit_on)
