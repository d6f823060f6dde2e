"""Parity: what a potential says against the labels, energies per atom and forces, one colour for each set."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxft.finetune.predict_set import SetPrediction
from jaxft.report.style import WIDTH, house_style
from jaxft.structures.dataset import LabelledStructure

COLOURS = {"train": "#0072b2", "validation": "#e69f00", "test": "#d55e00"}
MOST_POINTS = 20_000


def parity_figure(sets: Mapping[str, tuple[SetPrediction, Sequence[LabelledStructure]]]) -> Figure:
    """Energy per atom, from the mean of each composition's labels, and force components; perfect agreement is the diagonal.

    The energies of a composition count from the mean label of all sets, so that compositions share one axis.
    """
    means = _means(sets)
    with house_style():
        figure = Figure(figsize=(WIDTH, 3.5))
        energies, forces = figure.subplots(1, 2)
        for name, (said, data) in sets.items():
            sizes = np.array([len(d.atoms) for d in data])
            origin = np.array([means[d.atoms.get_chemical_formula()] for d in data])
            labels = 1e3 * (np.array([float(d.energy) for d in data]) - origin) / sizes
            _points(energies, name, labels, 1e3 * (said.energies - origin) / sizes, 8.0)
            flat = [np.concatenate([np.ravel(f) for f in arrays]) for arrays in ([d.forces for d in data], said.forces)]
            step = max(1, len(flat[0]) // MOST_POINTS)
            _points(forces, name, flat[0][::step], flat[1][::step], 3.0)
        _finish(energies, "energy per atom, from the mean of its composition", "meV/atom")
        _finish(forces, "force components", "eV/Å")
        energies.legend(loc="upper left", markerscale=1.5)
    return figure


def _points(ax: Axes, name: str, labels: np.ndarray, said: np.ndarray, size: float) -> None:
    rmse = float(np.sqrt(np.mean((said - labels) ** 2)))
    colour = COLOURS.get(name, "#009e73")
    ax.scatter(labels, said, s=size, linewidths=0, color=colour, alpha=0.6, label=f"{name} ({len(labels)})", zorder=2)
    ax.annotate(
        f"{name}: RMSE {rmse:.3g}",
        (0.97, 0.04 + 0.07 * len(ax.texts)),
        xycoords="axes fraction",
        ha="right",
        color=colour,
    )


def _finish(ax: Axes, title: str, unit: str) -> None:
    low, high = (f(*ax.get_xlim(), *ax.get_ylim()) for f in (min, max))
    ax.plot([low, high], [low, high], color="black", linewidth=0.7, zorder=1)
    ax.set(
        title=title,
        xlabel=f"label   [{unit}]",
        ylabel=f"prediction   [{unit}]",
        xlim=(low, high),
        ylim=(low, high),
        aspect="equal",
    )


def _means(sets: Mapping[str, tuple[SetPrediction, Sequence[LabelledStructure]]]) -> dict[str, float]:
    energies: dict[str, list[float]] = {}
    for _, data in sets.values():
        for item in data:
            energies.setdefault(item.atoms.get_chemical_formula(), []).append(float(item.energy))
    return {formula: float(np.mean(values)) for formula, values in energies.items()}
