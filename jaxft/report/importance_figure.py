"""What a sweep found: the objective against each setting, and how much of its variance each explains."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from jaxft.report.style import WIDTH, house_style

COLUMNS = 3


def importance_figure(points: Mapping[str, Sequence[tuple[Any, float]]], importance: Mapping[str, float]) -> Figure:
    """One panel for each setting: its values against the objective (smaller is better), titled with its importance.

    points: setting → (value, objective) of each trial. importance: setting → share of the variance (fANOVA: F. Hutter et al., ICML
    2014); empty where there are too few trials to tell.
    """
    names = sorted(points, key=lambda name: -importance.get(name, 0.0))
    rows = -(-len(names) // COLUMNS)
    with house_style():
        figure = Figure(figsize=(WIDTH, 0.4 + 2.2 * rows))
        panels = figure.subplots(rows, COLUMNS, squeeze=False, sharey=True).ravel()
        for ax, name in zip(panels, names, strict=False):
            values, objective = zip(*points[name], strict=True)
            numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
            shown = values if numbers else [str(v) for v in values]
            ax.scatter(shown, objective, s=14, color="#0072b2", linewidths=0, alpha=0.7)
            if numbers and min(values) > 0 and max(values) > 20 * min(values):
                ax.set_xscale("log")
            share = f"   {100 * importance[name]:.0f} %" if name in importance else ""
            ax.set(title=f"{name.removeprefix('finetune.')}{share}", yscale="log")
        for ax in panels[len(names) :]:
            ax.remove()
        figure.supylabel("objective", fontsize=9)
    return figure
