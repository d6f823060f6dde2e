"""Score 2: how far the residual moves from a model's training set to its own dynamics.

A constant between the two methods' energies is in both means and cancels, so this score needs no offset and has no
offset error. It is the bias that the choice of training frames leaves behind.
"""

from dataclasses import dataclass

import numpy as np

from jaxft.analysis.estimate import Estimate, PooledMean
from jaxft.analysis.model_test import ModelTest

NO_TRAINING_SET = "no residuals on a training set"
TRAINING_TOO_SMALL = "too few training labels for an error bar"


@dataclass(frozen=True)
class Drift:
    """Test mean minus training mean of (E_model - E_ref)/N, eV/atom.

    drift           its error is √(error_test² + error_training²), of which the first is the plateau's ``error_sampling``
    training_mean   mean residual on the model's own training set
    training_sd     SD about it (n - 1); None below two labels
    training_error  training_sd/√n_effective; None below two effective labels
    n_training      labels in the training set
    """

    drift: Estimate
    training_mean: float | None
    training_sd: float | None
    training_error: float | None
    n_training: int


def drift_score(test: ModelTest, pooled: PooledMean) -> Drift:
    """Score 2 of a test; ``pooled``: the residuals on the plateaus, as ``pool_residuals`` gives them."""
    trained = np.asarray(test.training_residuals, dtype=np.float64)
    n = len(trained)
    effective = float(n) if test.training_n_effective is None else test.training_n_effective
    mean = float(trained.mean()) if n else None
    sd = float(trained.std(ddof=1)) if n > 1 else None
    training_error = sd / float(np.sqrt(effective)) if sd is not None and effective >= 2.0 else None

    value = None if pooled.mean is None or mean is None else pooled.mean - mean
    error = None
    if value is not None and pooled.error is not None and training_error is not None:
        error = float(np.hypot(pooled.error, training_error))
    why = pooled.why
    if why is None and mean is None:
        why = NO_TRAINING_SET
    if why is None and training_error is None:
        why = TRAINING_TOO_SMALL
    return Drift(
        drift=Estimate(value, error, pooled.n, pooled.n_effective, why),
        training_mean=mean,
        training_sd=sd,
        training_error=training_error,
        n_training=n,
    )
