"""How far an axis reaches: over all that belongs together, not to the one value that went astray."""

from collections.abc import Sequence

import numpy as np

FAR = 4.0
"""What lies further than this many times the scale from the quartiles does not stretch an axis. The scale: how far the
quartiles are from each other or from zero, whichever is more."""

MARGIN = 0.06


def axis_limits(values: Sequence[float]) -> tuple[float, float]:
    """Lower and upper end: the values within reach, and zero, with a margin. ``values``: at least one, finite."""
    lower, upper = np.percentile(values, [25, 75])
    reach = FAR * max(upper - lower, abs(lower), abs(upper))
    inside = [value for value in values if lower - reach <= value <= upper + reach]
    low, high = min(0.0, *inside), max(0.0, *inside)
    margin = MARGIN * (high - low) or 1.0
    return float(low - margin), float(high + margin)
