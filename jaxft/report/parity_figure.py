"""Parity: what a potential says against the labels, energies per atom, forces and stress, one colour for each set."""

from collections.abc import Mapping, Sequence

import numpy as np
from ase import units
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxft.finetune.metrics import Metrics
from jaxft.finetune.predict_set import SetPrediction
from jaxft.report.style import WIDTH, house_style
from jaxft.structures.dataset import LabelledStructure

COLOURS = {"train": "#0072b2", "validation": "#e69f00", "test": "#d55e00"}
MOST_POINTS = 20_000


Sets = Mapping[str, tuple[SetPrediction, Sequence[LabelledStructure], Metrics]]
"""Of each set: what was predicted, the labels, and the errors."""


def parity_figure(sets: Sets) -> Figure:
    """Energy per atom, from the mean of each composition's labels; components of forces, and of stress where a structure has one.

    Perfect agreement is the diagonal. The energies of a composition count from the mean label of it in all sets, so that
    compositions share one axis.
    """
    means = _means(sets)
    stressed = any(errors.stress_mev is not None for *_, errors in sets.values())
    with house_style():
        figure = Figure(figsize=(WIDTH, 2.7 if stressed else 3.5))
        energies, forces, *rest = figure.subplots(1, 3 if stressed else 2)
        for name, (said, data, errors) in sets.items():
            sizes = np.array([len(d.atoms) for d in data])
            origin = np.array([means[d.atoms.get_chemical_formula()] for d in data])
            labels = 1e3 * (np.array([float(d.energy) for d in data]) - origin) / sizes
            _points(energies, name, labels, 1e3 * (said.energies - origin) / sizes, 8.0)
            _tell(energies, name, f"RMSE {errors.energy_mev.rmse:.3g} meV/atom")
            flat = [np.concatenate([np.ravel(f) for f in arrays]) for arrays in ([d.forces for d in data], said.forces)]
            step = max(1, len(flat[0]) // MOST_POINTS)
            _points(forces, name, flat[0][::step], flat[1][::step], 3.0)
            _tell(forces, name, f"RMSE {errors.forces_mev.rmse:.3g} meV/Å")
            if errors.stress_mev is not None:
                both = [(d.stress, s) for d, s in zip(data, said.stresses, strict=True) if d.stress is not None]
                labels, predicted = (np.ravel([pair[side] for pair in both]) / units.GPa for side in (0, 1))
                _points(rest[0], name, labels, predicted, 3.0)
                _tell(rest[0], name, f"RMSE {1e-3 * errors.stress_mev.rmse / units.GPa:.3g} GPa")
        _finish(energies, "relative energy per atom", "meV/atom")
        _finish(forces, "force components", "eV/Å")
        for stress in rest:
            _finish(stress, "stress components", "GPa")
        energies.legend(loc="upper left", markerscale=1.5)
    return figure


def _points(ax: Axes, name: str, labels: np.ndarray, said: np.ndarray, size: float) -> None:
    ax.scatter(
        labels, said, s=size, linewidths=0, color=_colour(name), alpha=0.6, label=f"{name} ({len(labels)})", zorder=2
    )


def _tell(ax: Axes, name: str, text: str) -> None:
    """A line of text in the lower right corner, above those that are there."""
    height = 0.04 + 0.07 * len(ax.texts)
    behind = {"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.5}
    ax.annotate(text, (0.97, height), xycoords="axes fraction", ha="right", color=_colour(name), bbox=behind)


def _colour(name: str) -> str:
    return COLOURS.get(name, "#009e73")


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


def _means(sets: Sets) -> dict[str, float]:
    energies: dict[str, list[float]] = {}
    for _, data, _ in sets.values():
        for item in data:
            energies.setdefault(item.atoms.get_chemical_formula(), []).append(float(item.energy))
    return {formula: float(np.mean(values)) for formula, values in energies.items()}
