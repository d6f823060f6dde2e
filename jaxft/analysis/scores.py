"""The scores of one model (protocol 5), from its test alone.

Scores 1, 2, 3 and 5, and score 4 on own frames. Score 4 on the common set and score 6 need frames that do not belong
to any one model; they have their own place once there are such frames.
"""

from dataclasses import dataclass

from jaxft.analysis.drift import Drift, drift_score
from jaxft.analysis.force_errors import ForceErrors, force_errors
from jaxft.analysis.model_test import ModelTest, check_test
from jaxft.analysis.plateau import Plateau, plateau_score, pool_residuals
from jaxft.analysis.settling import Settling, settle
from jaxft.analysis.spread import Spread, spread_score
from jaxft.analysis.survival_score import Survival, survival_score


@dataclass(frozen=True)
class Scores:
    """What a test says of a model; eV, Å, fs. ``settlings``: where the plateau of each seed begins."""

    plateau: Plateau
    drift: Drift
    spread: Spread
    forces: ForceErrors
    survival: Survival
    settlings: tuple[Settling, ...]


def scores(test: ModelTest) -> Scores:
    """Score a test. Raises InputError where its arrays don't fit together or hold values that are not finite."""
    check_test(test)
    settlings = tuple(settle(run) for run in test.seeds)
    pooled = pool_residuals(test, settlings)
    return Scores(
        plateau=plateau_score(test, settlings),
        drift=drift_score(test, pooled),
        spread=spread_score(test, pooled),
        forces=force_errors(test, settlings),
        survival=survival_score(test),
        settlings=settlings,
    )
