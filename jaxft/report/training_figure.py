"""How a fine-tune went: the loss of each batch, smoothed, the checks on validation structures, and the learning rate."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from jaxft.finetune.result import FitResult
from jaxft.report.style import WIDTH, house_style

TERMS = {"energy": "#0072b2", "forces": "#d55e00", "stress": "#009e73"}


def training_figure(results: Sequence[FitResult]) -> Figure:
    """Terms of the loss of the first member against updates; checks of all members as points."""
    first = results[0]
    with house_style():
        figure = Figure(figsize=(WIDTH, 3.2))
        losses, rates = figure.subplots(1, 2, width_ratios=(2.2, 1))
        updates = 1 + np.arange(len(first.history["loss"]))
        for term, colour in TERMS.items():
            values = first.history[term]
            if values.any():
                losses.plot(updates, values, color=colour, alpha=0.2, linewidth=0.5)
                losses.plot(updates, _smoothed(values), color=colour, label=term)
        for result in results:
            if len(result.validation):
                label = "validation, total" if result is first else None
                losses.plot(result.checked_at, result.validation, "k.", markersize=4, label=label)
        losses.set(title="loss, weighted terms", xlabel="update", yscale="log")
        if losses.get_legend_handles_labels()[0]:  # nothing is drawn where the very first update failed
            losses.legend()
        rates.plot(updates, first.history["learning_rate"], color="black")
        rates.set(title="learning rate", xlabel="update", ylim=(0, None))
    return figure


def _smoothed(values: np.ndarray) -> np.ndarray:
    """Running mean of about a fiftieth of the updates, shorter at the ends."""
    width = max(1, len(values) // 50)
    kernel = np.ones(width)
    return np.convolve(values, kernel, "same") / np.convolve(np.ones_like(values), kernel, "same")
