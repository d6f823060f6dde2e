"""Every model on every model's frames (the paper's figure 5): energies on one time axis with the reference, and the matrix."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, TwoSlopeNorm
from matplotlib.figure import Figure

from jaxft.analysis.cross import CrossCell, CrossRecord
from jaxft.analysis.residuals import Residuals, SeedSeries
from jaxft.analysis.wording import in_mev, in_ps, number
from jaxft.report.formatting import DISCLAIMER, shown_name
from jaxft.report.same_time import same_time
from jaxft.report.style import BASE_COLOUR, STRATEGY_STYLE, WIDTH, house_style

DASHES = ("solid", (0, (4, 1)), (0, (1, 1)), (0, (5, 1, 1, 1)), (0, (3, 2)))


@dataclass(frozen=True)
class Track:
    """One model's test run under one seed, as all models see it.

    times_fs    of its labelled frames
    reference   reference energies from the first, eV/atom
    models      energies of each model from the same zero, eV/atom
    """

    frames_of: str
    seed: int
    times_fs: tuple[float, ...]
    reference: tuple[float, ...]
    models: dict[str, tuple[float, ...]]


def tracks(cross: CrossRecord, result: Residuals) -> list[Track]:
    """The first test seed of the last model of each strategy, in the order of the record."""
    last = {model.strategy: model for model in result.models if model.strategy != "base"}
    found = []
    for model in last.values():
        series = model.seeds[0] if model.seeds else None
        seeds, times = cross.seeds.get(model.name, ()), cross.times.get(model.name, ())
        if series is None:
            continue
        rows = [k for k, seed in enumerate(seeds) if seed == series.seed]
        known = [e for e in (_reference(series, times[k]) for k in rows) if e is not None]
        cells = [cell for cell in cross.cells if cell.frames_of == model.name]
        if not rows or not cells or len(known) < len(rows):
            continue
        shifted = [(e - known[0]) / model.n_atoms for e in known]
        found.append(
            Track(
                model.name,
                series.seed,
                tuple(times[k] for k in rows),
                tuple(shifted),
                {cell.model: _of_model(cell, rows, shifted) for cell in cells},
            )
        )
    return found


def tracks_figure(found: Sequence[Track], result: Residuals) -> Figure | None:
    """Energies in meV/atom against time in ps, the reference as circles; None without frames."""
    if not found:
        return None
    colours = model_colours(result)
    with house_style():
        figure = Figure(figsize=(WIDTH, 3.4))
        axes = figure.subplots(1, len(found), squeeze=False, sharey=True)[0]
        for ax, track in zip(axes, found, strict=True):
            for name, values in track.models.items():
                colour, dashes = colours.get(name, ("black", "solid"))
                ax.plot(
                    [in_ps(t) for t in track.times_fs], [in_mev(v) for v in values], color=colour, linestyle=dashes,
                    linewidth=1.6 if name == track.frames_of else 0.9, label=shown_name(name),
                )  # fmt: skip
            ax.plot(
                [in_ps(t) for t in track.times_fs], [in_mev(v) for v in track.reference], "o", color="black",
                markerfacecolor="none", markersize=5, label="reference",
            )  # fmt: skip
            ax.set(title=f"frames of {track.frames_of}", xlabel="time [ps]")
        axes[0].set_ylabel("energy per atom, from the\nfirst reference energy [meV]")
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=5)
        if result.demonstration:
            figure.suptitle(DISCLAIMER, fontsize=8.5, color="#8a1c1c", x=0.99, ha="right")
    return figure


def matrix_figure(cross: CrossRecord, demonstration: bool) -> Figure | None:
    """Mean signed residual and force RMSE of each model (rows) on the frames of each (columns); None without cells."""
    if not cross.cells:
        return None
    rows = list(dict.fromkeys(cell.model for cell in cross.cells))
    columns = list(dict.fromkeys(cell.frames_of for cell in cross.cells))
    where = [(rows.index(c.model), columns.index(c.frames_of)) for c in cross.cells]
    with house_style():
        figure = Figure(figsize=(WIDTH, 1.3 + 0.36 * len(rows)))
        left, right = figure.subplots(1, 2, sharey=True)
        residual = _filled(rows, columns, where, [in_mev(c.residual) for c in cross.cells])
        reach = float(np.nanmax(np.abs(residual))) or 1.0
        left.imshow(residual, cmap="RdBu_r", norm=TwoSlopeNorm(0.0, -reach, reach), aspect="auto")
        forces = _filled(rows, columns, where, [in_mev(c.force_rmse) for c in cross.cells])
        right.imshow(forces, cmap="viridis", norm=LogNorm(), aspect="auto")
        _label(left, rows, columns, residual, np.abs(residual) > 0.6 * reach, signed=True)
        middle = np.sqrt(np.nanmin(forces) * np.nanmax(forces))
        _label(right, rows, columns, forces, forces < middle, signed=False)
        left.set_title("mean residual [meV/atom]")
        right.set_title("force RMSE [meV/Å]")
        left.set_ylabel("model")
        figure.supxlabel("on the labelled frames of", fontsize=9)
        if demonstration:
            figure.suptitle(DISCLAIMER, fontsize=8.5, color="#8a1c1c", x=0.99, ha="right")
    return figure


def model_colours(result: Residuals) -> dict[str, tuple[str, object]]:
    """Colour of the strategy and dashes of the stage."""
    found: dict[str, tuple[str, object]] = {"base": (BASE_COLOUR, "solid")}
    stage: dict[str, int] = {}
    for model in result.models:
        if model.strategy != "base":
            k = stage.setdefault(model.strategy, -1) + 1
            stage[model.strategy] = k
            colour = STRATEGY_STYLE.get(model.strategy, ("#009e73", "o"))[0]
            found[model.name] = (colour, DASHES[-1 - k % len(DASHES)])
    return found


def _reference(series: SeedSeries, time: float) -> float | None:
    pairs = zip(series.times_fs, series.reference_energies, strict=True)
    return next((energy for t, energy in pairs if same_time(t, time)), None)


def _of_model(cell: CrossCell, rows: Sequence[int], reference: Sequence[float]) -> tuple[float, ...]:
    return tuple(base + cell.energies[k] for k, base in zip(rows, reference, strict=True))


def _filled(rows: list[str], columns: list[str], where: list[tuple[int, int]], values: list[float]) -> np.ndarray:
    grid = np.full((len(rows), len(columns)), np.nan)
    for place, value in zip(where, values, strict=True):
        grid[place] = value
    return grid


def _label(ax: Axes, rows: list[str], columns: list[str], values: np.ndarray, light: np.ndarray, signed: bool) -> None:
    ax.set_xticks(range(len(columns)), columns, rotation=45, ha="right")
    ax.set_yticks(range(len(rows)), [shown_name(row) for row in rows])
    ax.spines[:].set_visible(False)
    for (i, j), value in np.ndenumerate(values):
        if np.isfinite(value):
            text = number(float(value), 0.3, signed=True) if signed else number(float(value))
            ax.text(j, i, text, ha="center", va="center", fontsize=7, color="white" if light[i, j] else "black")
