"""Q along every test: the largest Q over limit of each frame, the limit of frames, where alarms begin, and events.

A panel for each model, a line for each seed.
"""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from jaxft.analysis.q_record import ModelQ, QRecord
from jaxft.analysis.wording import in_ps
from jaxft.report.formatting import DISCLAIMER
from jaxft.report.style import BASE_COLOUR, WIDTH, house_style

COLUMNS = 3
SEEDS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
ALARM = "#8a1c1c"


def with_timelines(record: QRecord) -> list[ModelQ]:
    """Models whose tests were looked at."""
    return [model for model in record.models if model.timelines and model.frame_limit is not None]


EventTimes = Mapping[tuple[str, int], Sequence[float]]
"""Times in fs of the events of each test, from the end of equilibration, by model and seed."""


def q_figure(record: QRecord, demonstration: bool, events: EventTimes) -> Figure | None:
    """Largest Q/limit of each frame against time in ps, with events below; None where no test was looked at."""
    models = with_timelines(record)
    if not models:
        return None
    columns = min(COLUMNS, len(models))
    rows = -(-len(models) // columns)
    with house_style():
        figure = Figure(figsize=(WIDTH, 1.0 + 1.9 * rows))
        grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for ax, model in zip(grid.flat, models, strict=False):
            _panel(ax, model, events)
        for ax in grid.flat[len(models) :]:
            ax.remove()
        for ax in grid[:, 0]:
            ax.set_ylabel("largest Q / limit")
        for ax in grid.flat[max(0, len(models) - columns) : len(models)]:
            ax.set_xlabel("time in own dynamics [ps]")
        if demonstration:
            figure.suptitle(DISCLAIMER, fontsize=8.5, color="#8a1c1c", x=0.99, ha="right")
        figure.legend(handles=_legend(models, events), loc="outside lower center", ncols=5)
    return figure


def seed_colour(seed: int) -> str:
    """The same colour for a seed in every panel."""
    return SEEDS[seed % len(SEEDS)]


def _panel(ax: Axes, model: ModelQ, events: EventTimes) -> None:
    assert model.frame_limit is not None, "the caller has looked"
    ax.axhline(model.frame_limit, color="black", linewidth=0.8, linestyle=(0, (4, 2)))
    for line in model.timelines:
        colour = seed_colour(line.seed)
        ax.plot([in_ps(t) for t in line.times_fs], line.largest, color=colour, linewidth=0.8)
        if line.alarm_fs is not None:
            ax.axvline(in_ps(line.alarm_fs), color=ALARM, linewidth=0.7, linestyle=":")
            ax.plot([in_ps(line.alarm_fs)], [1.0], "v", color=colour, markeredgecolor=ALARM, markersize=5, clip_on=False,
                    transform=ax.get_xaxis_transform())  # fmt: skip
        times = events.get((model.name, line.seed), ())
        if times:
            ax.plot([in_ps(t) for t in times], [0.04] * len(times), "|", color=colour, markersize=8, markeredgewidth=1.6,
                    transform=ax.get_xaxis_transform())  # fmt: skip
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.set_title(model.name, pad=8)
    ax.set_xlim(left=0.0)
    ax.tick_params(labelbottom=True)


def _legend(models: Sequence[ModelQ], events: EventTimes) -> list[Line2D]:
    seeds = sorted({line.seed for model in models for line in model.timelines})[: len(SEEDS)]
    handles = [Line2D([], [], color=seed_colour(seed), linewidth=1.2, label=f"seed {seed}") for seed in seeds]
    handles.append(Line2D([], [], color="black", linewidth=0.8, linestyle=(0, (4, 2)), label="limit of frames"))
    if any(line.alarm_fs is not None for model in models for line in model.timelines):
        handles.append(
            Line2D([], [], color=BASE_COLOUR, linestyle="none", marker="v", markeredgecolor=ALARM, label="alarm begins")
        )
    if any(events.get((model.name, line.seed)) for model in models for line in model.timelines):
        handles.append(
            Line2D([], [], color=BASE_COLOUR, linestyle="none", marker="|", markeredgewidth=1.6, label="event")
        )
    return handles
