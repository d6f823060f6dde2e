"""Does Q find the atoms whose forces are wrong, and do its rivals: the ROC curve of each signal, and the area under it."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from jaxft.analysis.proxy import Proxy
from jaxft.analysis.proxy_finding import interval
from jaxft.report.formatting import DISCLAIMER
from jaxft.report.style import WIDTH, house_style

COLOURS = ("#0072b2", "#56b4e9", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#000000")
DASHES = ("solid", (0, (4, 1)), (0, (1, 1)), (0, (5, 1, 1, 1)), (0, (3, 2)), (0, (2, 2)), "solid")


def roc_figure(proxies: Sequence[Proxy], demonstration: bool) -> Figure | None:
    """Hits against false alarms of each signal; None where no signal has a curve."""
    drawn = [proxy for proxy in proxies if proxy.roc[0]]
    if not drawn:
        return None
    with house_style():
        figure = Figure(figsize=(WIDTH, 3.5))
        ax, words = figure.subplots(1, 2, width_ratios=(1.0, 0.95))
        ax.plot([0, 1], [0, 1], color="black", linewidth=0.7, linestyle=":")
        for k, proxy in enumerate(drawn):
            ax.plot(
                *proxy.roc,
                color=COLOURS[k % len(COLOURS)],
                linestyle=DASHES[k % len(DASHES)],
                linewidth=2.0 if k == 0 else 1.3,
                label=f"{proxy.signal}\nAUROC {interval(proxy.auroc)}",
            )
        ax.set(xlabel="false alarms: share of the other atoms", ylabel="hits: share of the bad atoms", aspect="equal")
        ax.set(xlim=(0, 1), ylim=(0, 1))
        words.axis("off")
        words.legend(*ax.get_legend_handles_labels(), loc="center left", labelspacing=0.9, handlelength=2.6)
        if demonstration:
            figure.suptitle(DISCLAIMER, fontsize=8.5, color="#8a1c1c", x=0.99, ha="right")
    return figure
