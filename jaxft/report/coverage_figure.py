"""What each set covers on PC1 and PC2 of the study (the paper's figure 3): training sets against each other, and what their
models' own dynamics visit besides.

Points are a sample of each set's atoms; the shares in the titles count all of them, in the retained space.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from jaxft.analysis.coverage import Share
from jaxft.analysis.coverage_record import Coverage, MapPoint
from jaxft.analysis.wording import percent
from jaxft.report.formatting import DISCLAIMER
from jaxft.report.style import BASE_COLOUR, WIDTH, house_style

OF_COLOUR, AMONG_COLOUR = "#d55e00", BASE_COLOUR
COLUMNS = 2
MARGIN = 0.15


@dataclass(frozen=True)
class Pair:
    """A panel: the atoms of one set over those of others, and the share that says how many lie outside; None without one."""

    of: str
    among: tuple[str, ...]
    title: str
    share: Share | None


def coverage_pairs(record: Coverage) -> list[Pair]:
    """Tests of the largest training sets over these, then the sets over each other."""
    pairs = [
        Pair(
            f"test {name}",
            (name,),
            f"test of {name} over its training set",
            _share(record.shares, f"test {name}", name),
        )
        for name in record.fitted_to
        if any(point.set == f"test {name}" for point in record.points)
    ]
    for one in record.fitted_to:
        for other in record.fitted_to:
            if one != other:
                pairs.append(Pair(one, (other,), f"training set {one} over {other}", _share(record.shares, one, other)))
    return pairs


def new_pairs(record: Coverage) -> list[Pair]:
    """What the test of each periodic model visits, over its training set and the tests before it."""
    found: list[Pair] = []
    before: tuple[str, ...] = ()
    for share in record.new:
        if share.element != "all":
            continue
        name = share.of.removeprefix("test ")
        what = f"test of {name} over all before" if before else f"test of {name} over its training set"
        found.append(Pair(share.of, (name, *before), what, share))
        before = (*before, share.of)
    return found


def map_figure(record: Coverage, pairs: Sequence[Pair], demonstration: bool) -> Figure | None:
    """A panel for each pair on the same axes; None without pairs."""
    if not pairs:
        return None
    columns = min(COLUMNS, len(pairs))
    rows = -(-len(pairs) // columns)
    limits = map_limits(record)
    with house_style():
        figure = Figure(figsize=(WIDTH if columns > 1 else 0.55 * WIDTH, 0.8 + 2.7 * rows))
        grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for ax, pair in zip(grid.flat, pairs, strict=False):
            _panel(ax, record, pair)
        for ax in grid.flat[len(pairs) :]:
            ax.remove()
        grid[0, 0].set(xlim=limits[0], ylim=limits[1])
        for ax in grid[:, 0]:
            ax.set_ylabel(axis_label(record, 1))
        for ax in grid.flat[max(0, len(pairs) - columns) : len(pairs)]:
            ax.set_xlabel(axis_label(record, 0))
        if demonstration:
            figure.suptitle(DISCLAIMER, fontsize=8.5, color="#8a1c1c", x=0.99, ha="right")
        handles = [
            Line2D(
                [], [], color=AMONG_COLOUR, marker="o", linestyle="none", markersize=4, label="over: the second set"
            ),
            Line2D([], [], color=OF_COLOUR, marker="o", linestyle="none", markersize=4, label="the first set"),
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


def axis_label(record: Coverage, axis: int) -> str:
    """PC1 or PC2 with the variance that it explains."""
    return f"PC{axis + 1} ({percent(record.explained[axis])} of the variance)"


def map_limits(record: Coverage) -> tuple[tuple[float, float], tuple[float, float]]:
    """Axes over the sets that the space was fitted to, with a wide margin; over all points where none of these is there."""
    fitted = [p for p in record.points if p.set in record.fitted_to] or list(record.points)
    return _range([p.pc1 for p in fitted]), _range([p.pc2 for p in fitted])


def onto_map(record: Coverage, points: Sequence[MapPoint]) -> tuple[np.ndarray, np.ndarray]:
    """PC1 and PC2 of points; what lies beyond the axes is put at their edge."""
    (left, right), (low, high) = map_limits(record)
    return np.clip([p.pc1 for p in points], left, right), np.clip([p.pc2 for p in points], low, high)


def element_places(record: Coverage) -> dict[str, tuple[float, float]]:
    """Where to write the name of each element: beside the middle of its points in the fitted sets."""
    fitted: dict[str, list[tuple[float, float]]] = {}
    for point in record.points:
        if point.set in record.fitted_to:
            fitted.setdefault(point.element, []).append((point.pc1, point.pc2))
    return {element: tuple(np.median(places, axis=0).tolist()) for element, places in fitted.items()}


def share_words(share: Share | None) -> str:
    """ "2.8 % outside (null 5.4 %)", or that there is no number."""
    if share is None or share.share is None:
        return "share not counted"
    null = "no null" if share.null is None else f"null {percent(share.null)}"
    return f"{percent(share.share)} outside ({null})"


def _panel(ax: Axes, record: Coverage, pair: Pair) -> None:
    for names, colour, size, alpha in ((pair.among, AMONG_COLOUR, 7.0, 0.5), ((pair.of,), OF_COLOUR, 3.0, 0.7)):
        x, y = onto_map(record, [point for point in record.points if point.set in names])
        ax.scatter(x, y, s=size, color=colour, alpha=alpha, linewidths=0)
    for element, place in element_places(record).items():
        ax.annotate(element, place, (14, 10), textcoords="offset points", fontsize=8.5, fontweight="bold")
    ax.set_title(f"{pair.title}\n{share_words(pair.share)}", fontsize=8.5, fontweight="normal")
    ax.tick_params(labelbottom=True)


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    margin = MARGIN * (high - low) or 1.0
    return low - margin, high + margin


def _share(shares: Sequence[Share], of: str, outside: str) -> Share | None:
    return next((s for s in shares if (s.of, s.outside, s.element) == (of, outside, "all")), None)
