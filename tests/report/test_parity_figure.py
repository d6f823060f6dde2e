"""The parity figure: which panels there are, and that what is told of a panel is in the unit of its axis."""

import numpy as np
import pytest
from ase import Atoms, units

from jaxft.finetune.metrics import errors_of
from jaxft.finetune.predict_set import SetPrediction
from jaxft.report.parity_figure import parity_figure
from jaxft.structures.dataset import LabelledStructure


def judged(stressed, off_gpa=0.5):
    """Four boxes, of which some have a stress, and a prediction that is off by as much in each of its components."""
    rng = np.random.default_rng(0)
    data, stresses = [], []
    for k in range(4):
        atoms = Atoms("OH", rng.normal(size=(2, 3)), cell=[4, 4, 4], pbc=True)
        stress = 0.01 * np.eye(3) * (k + 1)
        data.append(LabelledStructure(atoms, -10.0 - k, rng.normal(size=(2, 3)), stress if k < stressed else None))
        stresses.append(stress + off_gpa * units.GPa)
    said = SetPrediction(np.array([d.energy + 0.1 for d in data]), tuple(d.forces + 0.2 for d in data), tuple(stresses))
    return said, data, errors_of(said, data)


@pytest.mark.parametrize(("stressed", "panels"), [(0, 2), (3, 3)])
def test_stress_has_a_panel_where_a_structure_has_one(stressed, panels):
    figure = parity_figure({"train": judged(stressed), "test": judged(0)})
    assert len(figure.axes) == panels
    if stressed:
        (told,) = [text.get_text() for text in figure.axes[2].texts]
        assert told == "RMSE 0.5 GPa"
        (drawn,) = figure.axes[2].collections
        labels, said = drawn.get_offsets().T
        assert len(labels) == 9 * stressed
        assert np.allclose(said - labels, 0.5)
