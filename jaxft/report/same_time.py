"""Whether two records mean the same frame of a run: their times, one of which may have been rounded to six digits."""

import math


def same_time(a_fs: float, b_fs: float) -> bool:
    """Equal to five digits."""
    return math.isclose(a_fs, b_fs, rel_tol=1e-5, abs_tol=1e-6)
