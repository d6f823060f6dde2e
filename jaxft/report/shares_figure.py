"""The main number of coverage: the share of each test's atoms outside its training set, beside its null, element by element."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from jaxft.analysis.coverage import Share
from jaxft.analysis.coverage_record import Coverage
from jaxft.report.formatting import DISCLAIMER
from jaxft.report.style import BASE_COLOUR, WIDTH, house_style

COLOUR = "#d55e00"
COLUMNS = 3


def shares_figure(record: Coverage, demonstration: bool) -> Figure | None:
    """One panel for each element: filled, test outside its own training set; open, halves of that set. None without shares."""
    own = own_shares(record.shares)
    elements = list(dict.fromkeys(share.element for share in own if share.share is not None))
    if not elements:
        return None
    names = list(dict.fromkeys(share.outside for share in own))
    columns = min(COLUMNS, len(elements))
    rows = -(-len(elements) // columns)
    with house_style():
        figure = Figure(figsize=(WIDTH, 0.7 + 1.9 * rows))
        grid = figure.subplots(rows, columns, sharex=True, squeeze=False)
        for ax, element in zip(grid.flat, elements, strict=False):
            for share in own:
                if share.element == element:
                    _draw(ax, names.index(share.outside), share)
            ax.set_title("all elements" if element == "all" else element)
            ax.set_xticks(range(len(names)), names, rotation=45, ha="right")
            ax.set_xlim(-0.5, len(names) - 0.5)
            ax.set_ylim(bottom=0.0)
            ax.tick_params(labelbottom=True)
        for ax in grid.flat[len(elements) :]:
            ax.remove()
        figure.supylabel("atoms outside [%]", fontsize=9)
        if demonstration:
            figure.suptitle(DISCLAIMER, fontsize=8.5, color="#8a1c1c", x=0.99, ha="right")
        handles = [
            Line2D([], [], color=COLOUR, marker="o", linestyle="none", markersize=5, label="test outside its training set"),
            Line2D(
                [], [], color=BASE_COLOUR, marker="o", linestyle="none", markersize=5, markerfacecolor="white",
                label="null: halves of the training set",
            ),
        ]  # fmt: skip
        figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


def own_shares(shares: Sequence[Share]) -> list[Share]:
    """Tests outside the training sets of their own models."""
    return [share for share in shares if share.of == f"test {share.outside}"]


def _draw(ax: Axes, x: int, share: Share) -> None:
    if share.null is not None:
        ax.plot([x], [100 * share.null], "o", color=BASE_COLOUR, markerfacecolor="white", markersize=5, clip_on=False)
    if share.share is not None:
        ax.plot([x], [100 * share.share], "o", color=COLOUR, markersize=5, clip_on=False)
