"""What a sweep found: the objective against each setting, and how much of its variance each explains."""

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter

from jaxft.report.style import WIDTH, house_style

COLUMNS = 3

LETTERS = 24
"""Of all labels of one panel together, that have room beside each other."""

POINTS: dict[str, Any] = {"s": 14, "color": "#0072b2", "linewidths": 0, "alpha": 0.7}


def importance_figure(
    points: Mapping[str, Sequence[tuple[Any, float]]],
    importance: Mapping[str, float],
    objective: str,
    log: Collection[str] = (),
    choices: Mapping[str, Sequence[Any]] = MappingProxyType({}),
) -> Figure:
    """One panel for each setting: its values against the objective (smaller is better), titled with its importance.

    points: setting → (value, objective) of each trial. importance: setting → share of the variance (fANOVA: F. Hutter et al., ICML
    2014); empty where there are too few trials to tell. objective: quantity and unit. log: settings drawn on a logarithmic scale.
    choices: setting → its choices, drawn side by side in this order.
    """
    names = sorted(points, key=lambda name: -importance.get(name, 0.0))
    columns = min(COLUMNS, len(names))
    rows = -(-len(names) // columns)
    with house_style():
        figure = Figure(figsize=(WIDTH * columns / COLUMNS + 0.4 * (columns < COLUMNS), 0.4 + 2.2 * rows))
        panels = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
        for ax, name in zip(panels, names, strict=False):
            values, reached = zip(*points[name], strict=True)
            if name in choices:
                _draw_choices(ax, [choices[name].index(value) for value in values], reached, choices[name])
            else:
                ax.scatter(values, reached, **POINTS)
                ax.set_xscale("log" if name in log else "linear")
            share = f"   {100 * importance[name]:.0f} %" if name in importance else ""
            ax.set(title=f"{name.removeprefix('finetune.')}{share}")
        _scale(panels[0], [value for _, value in points[names[0]]])
        for ax in panels[len(names) :]:
            ax.remove()
        figure.supylabel(objective, fontsize=9)
    return figure


def _scale(ax: Axes, reached: Sequence[float]) -> None:
    """Logarithmic where the objective spans a decade; below that its ticks would have one digit, the same for all."""
    if max(reached) < 10.0 * min(reached):
        ax.ticklabel_format(axis="y", useOffset=False)
        return
    ax.set_yscale("log")
    for formatter in (ax.yaxis.set_major_formatter, ax.yaxis.set_minor_formatter):
        formatter(LogFormatter(minor_thresholds=(2.0, 0.5)))  # 60, not 6 × 10¹


def _draw_choices(ax: Axes, places: Sequence[int], reached: Sequence[float], choices: Sequence[Any]) -> None:
    """Categories at equal distances, whether they are numbers or not."""
    ax.scatter(places, reached, **POINTS)
    labels = ["none" if choice is None else str(choice) for choice in choices]
    crowded = sum(map(len, labels)) > LETTERS
    ax.set_xticks(range(len(labels)), labels, rotation=30 * crowded, ha="right" if crowded else "center")
    ax.set_xlim(-0.5, len(labels) - 0.5)
