"""Score 3: how much the residual fluctuates in a model's own dynamics, which no constant can mend.

In units of kT of the whole box it says how far the sampled ensemble is from the reference's: a residual that
fluctuates by several kT visits configurations with weights that are wrong by orders of magnitude.
"""

from dataclasses import dataclass

import numpy as np

from jaxft.analysis.estimate import NO_FRAMES, Estimate, PooledMean
from jaxft.analysis.model_test import ModelTest
from jaxft.units import KELVIN

ONE_FRAME = "one frame has no spread"


@dataclass(frozen=True)
class Spread:
    """SD of the residual about its mean over the plateaus of all seeds.

    sd     eV/atom; its error is SD/√(2(n_effective - 1)), that of a normal distribution
    sd_kt  SD of the whole box's residual E_model - E_ref, in kT
    """

    sd: Estimate
    sd_kt: float | None


def spread_score(test: ModelTest, pooled: PooledMean) -> Spread:
    """Score 3 of a test; ``pooled``: the residuals on the plateaus, as ``pool_residuals`` gives them."""
    if pooled.sd is None:
        why = NO_FRAMES if pooled.mean is None else ONE_FRAME
        return Spread(Estimate(None, None, pooled.n, pooled.n_effective, why), None)
    long_enough = pooled.error_run is not None
    error = pooled.sd / float(np.sqrt(2.0 * (pooled.n_effective - 1.0))) if long_enough else None
    return Spread(
        sd=Estimate(pooled.sd, error, pooled.n, pooled.n_effective, pooled.why),
        sd_kt=pooled.sd * test.n_atoms / (KELVIN * test.temperature),
    )
