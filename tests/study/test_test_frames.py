"""Labelled test frames come back as they were, failures too."""

import numpy as np
from ase import Atoms

from jaxft.labels.label import Failure
from jaxft.study.test_frames import read_test_frames, write_test_frames


class Bought:
    """As much of a label as the file needs."""

    def __init__(self, energy, forces):
        self.energy, self.forces = energy, forces


def test_frames_seeds_times_labels_and_failures_come_back(tmp_path):
    random = np.random.default_rng(0)
    frames = [[Atoms("OH2", random.normal(size=(3, 3)), cell=[9, 9, 9], pbc=True) for _ in range(2)] for _ in range(2)]
    labels = [Bought(-100.0 - k / 3, random.normal(size=(3, 3))) for k in range(3)]
    path = tmp_path / "FT1.extxyz"
    failed = Failure("not converged", "SCF not converged in 300 cycles", None, None)
    write_test_frames(path, frames, [[10.0, 20.0], [10.0, 20.0]], [labels[0], failed, *labels[1:]])
    back = read_test_frames(path)
    assert back.seeds.tolist() == [0, 0, 1, 1]
    assert back.times_fs.tolist() == [10.0, 20.0, 10.0, 20.0]
    assert back.failures == {1: "not converged"}
    assert back.labelled.tolist() == [0, 2, 3]
    assert back.energies[[0, 2, 3]].tolist() == [label.energy for label in labels]
    assert np.isnan(back.energies[1])
    np.testing.assert_array_equal(back.forces[3], labels[2].forces)
    assert np.isnan(back.forces[1]).all()
    np.testing.assert_array_equal(back.atoms[2].positions, frames[1][0].positions)
