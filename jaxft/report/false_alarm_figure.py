"""How often the limits alarm where nothing is wrong: measured rates of each kind of limit, beside the rate that it promises."""

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from jaxft.analysis.q_record import QRecord
from jaxft.report.element_colours import element_colours
from jaxft.report.formatting import DISCLAIMER
from jaxft.report.style import WIDTH, house_style

KINDS = {"held out": "empirical, held out", "jackson-mudholkar": "Jackson–Mudholkar", "t2": "T²"}
"""Names in the record, and what readers see."""

TICKS = (0.0, 0.01, 0.1, 1.0)


def false_alarm_figure(record: QRecord, demonstration: bool) -> Figure | None:
    """A panel for each kind of limit: rate of each element against the models; None where nothing was calibrated."""
    models = [model for model in record.models if model.elements and model.descriptors == "base"]
    if not models:
        return None
    colours = element_colours(element for model in models for element in model.elements)
    with house_style():
        figure = Figure(figsize=(WIDTH, 2.9))
        axes = figure.subplots(1, len(KINDS), sharex=True, sharey=True)
        for ax, (kind, title) in zip(axes, KINDS.items(), strict=True):
            ax.axhline(record.nominal_rate, color="black", linewidth=0.8, linestyle=(0, (4, 2)))
            for k, (element, colour) in enumerate(colours.items()):
                shift = 0.5 * ((k + 0.5) / len(colours) - 0.5)
                points = [
                    (x + shift, model.elements[element].false_alarms.get(kind))
                    for x, model in enumerate(models)
                    if element in model.elements
                ]
                known = [(x, rate) for x, rate in points if rate is not None]
                if known:  # an empty unclipped line would spoil the layout
                    places, rates = zip(*known, strict=True)
                    ax.plot(places, rates, "o", color=colour, markersize=3.5, clip_on=False)
            ax.set_yscale("symlog", linthresh=record.nominal_rate)
            ax.set_ylim(0.0, 1.0)
            ax.set_title(title)
            ax.set_xticks(range(len(models)), [model.name for model in models], rotation=45, ha="right")
        axes[0].yaxis.set_major_locator(FixedLocator(list(TICKS)))
        axes[0].yaxis.set_minor_locator(NullLocator())
        axes[0].yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
        axes[0].set_ylabel("atoms above the limit")
        if demonstration:
            figure.suptitle(DISCLAIMER, fontsize=8.5, color="#8a1c1c", x=0.99, ha="right")
        handles = [
            Line2D([], [], color=colour, marker="o", linestyle="none", markersize=4, label=element)
            for element, colour in colours.items()
        ]
        handles.append(Line2D([], [], color="black", linewidth=0.8, linestyle=(0, (4, 2)), label="promised rate"))
        figure.legend(handles=handles, loc="outside lower center", ncols=7)
    return figure
