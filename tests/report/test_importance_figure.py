"""The figure of a sweep says what is small, and draws each setting as it was sampled."""

import pytest

from jaxft.report.importance_figure import importance_figure
from jaxft.report.style import png

RATES = [(1e-4, 40.0), (2e-4, 60.0), (4e-4, 50.0)]
CHOICES = {"finetune.weights.forces": (1.0, 100.0, 10.0), "finetune.lora_rank": (None, 4), "base": ("a", "b")}
POINTS = {
    "finetune.learning_rate": RATES,
    "finetune.updates": [(10, 40.0), (2000, 60.0), (3000, 50.0)],
    "finetune.weights.forces": [(10.0, 40.0), (1.0, 60.0), (100.0, 50.0)],
    "finetune.lora_rank": [(4, 40.0), (None, 60.0), (4, 50.0)],
    "base": [("b", 40.0), ("b", 60.0), ("b", 50.0)],
}


def panels(figure):
    return {ax.get_title(loc="left").split()[0]: ax for ax in figure.axes}


def ticks(objectives):
    """Labels of the objective's axis."""
    points = {"finetune.learning_rate": [(1e-4 * 2**k, value) for k, value in enumerate(objectives)]}
    figure = importance_figure(points, {}, "loss", ["finetune.learning_rate"])
    png(figure)
    labels = [text.get_text() for text in figure.axes[0].get_yticklabels(which="both")]
    return [label for label in labels if label]


@pytest.mark.parametrize(
    "objectives", [(0.0121, 0.0152), (11252, 11606), (0.123, 0.171), (253, 262), (0.01, 0.5), (5, 9000)]
)
def test_ticks_of_the_objective_can_be_told_apart(objectives):
    labels = ticks(objectives)
    assert len(labels) >= 2
    assert len(set(labels)) == len(labels)


def test_the_objective_has_its_quantity_and_unit_and_plain_numbers():
    figure = importance_figure(POINTS, {}, "forces, RMSE [meV/Å]", ["finetune.learning_rate"], CHOICES)
    assert figure.get_supylabel() == "forces, RMSE [meV/Å]"
    png(figure)
    labels = [text.get_text() for text in panels(figure)["learning_rate"].get_yticklabels(which="both")]
    assert "60" in labels


def test_a_setting_is_drawn_on_the_scale_on_which_it_was_sampled():
    drawn = panels(importance_figure(POINTS, {}, "", ["finetune.learning_rate"], CHOICES))
    assert drawn["learning_rate"].get_xscale() == "log"
    assert drawn["updates"].get_xscale() == "linear"


def test_choices_are_categories_in_the_order_given():
    drawn = panels(importance_figure(POINTS, {}, "", (), CHOICES))
    for name, labels in (
        ("weights.forces", ["1.0", "100.0", "10.0"]),
        ("lora_rank", ["none", "4"]),
        ("base", ["a", "b"]),
    ):
        assert [text.get_text() for text in drawn[name].get_xticklabels()] == labels
    assert drawn["weights.forces"].collections[0].get_offsets()[:, 0].tolist() == [2, 0, 1]
