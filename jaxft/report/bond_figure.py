"""The map coloured by a bond length (the paper's figure 4): where in the space the stretched bonds are.

Only atoms that have such a bond, on axes of their own: the map of all elements is in ``coverage_figure.py``.
"""

from dataclasses import replace

import numpy as np
from matplotlib.figure import Figure

from jaxft.analysis.coverage_record import Coverage
from jaxft.report.coverage_figure import axis_label, map_limits, onto_map
from jaxft.report.formatting import DISCLAIMER
from jaxft.report.style import WIDTH, house_style

SCALE = (1.0, 99.0)
"""Percentiles at the ends of the colour scale: one broken bond does not flatten it."""


def bond_figure(record: Coverage, demonstration: bool) -> Figure | None:
    """A panel for the training sets that the space was fitted to, one for their tests; None where no bond was measured."""
    bonds = [point.bond for point in record.points if point.bond is not None]
    if not bonds:
        return None
    kinds = {
        "training sets": set(record.fitted_to),
        "own dynamics": {f"test {name}" for name in record.fitted_to},
    }
    bonded = replace(record, points=tuple(p for p in record.points if p.bond is not None))
    limits = map_limits(bonded)
    low, high = np.percentile(bonds, SCALE)
    with house_style():
        figure = Figure(figsize=(WIDTH, 3.4))
        axes = figure.subplots(1, 2, sharex=True, sharey=True)
        for ax, (title, names) in zip(axes, kinds.items(), strict=True):
            mine = sorted(
                (p for p in record.points if p.set in names and p.bond is not None), key=lambda p: p.bond or 0.0
            )
            drawn = ax.scatter(
                *onto_map(bonded, mine), c=[p.bond for p in mine], s=5, cmap="viridis",
                vmin=low, vmax=high, linewidths=0,
            )  # fmt: skip
            ax.set(title=title, xlabel=axis_label(record, 0))
        axes[0].set(ylabel=axis_label(record, 1), xlim=limits[0], ylim=limits[1])
        figure.colorbar(drawn, ax=axes, label="bond length [Å]", extend="both")
        if demonstration:
            figure.suptitle(DISCLAIMER, fontsize=8.5, color="#8a1c1c", x=0.99, ha="right")
    return figure
