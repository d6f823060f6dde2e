"""The labelled files of a fine-tune: which names they are read by, and how messages name their structures."""

import numpy as np
from ase import Atoms
from ase.io import write

from jaxft.cli.config import FinetuneConfiguration
from jaxft.cli.settings import finetuning_settings
from jaxft.study.finetune_data import read_labels

WATER = np.array([[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]])


def boxes(path, count=4, seed=0, **info):
    """A file of waters in boxes with these entries."""
    rng = np.random.default_rng(seed)
    frames = []
    for _ in range(count):
        atoms = Atoms("OHH", WATER + 0.05 * rng.normal(size=(3, 3)), cell=[9] * 3, pbc=True)
        atoms.info.update(REF_energy=-1000.0, **info)
        atoms.arrays["REF_forces"] = rng.normal(size=(3, 3))
        frames.append(atoms)
    write(path, frames, format="extxyz")
    return path


def labels_of(path, **data):
    configuration = FinetuneConfiguration.model_validate({"data": {"path": str(path), **data}, "base": "cobalt-mini"})
    return read_labels(finetuning_settings(configuration, path.parent))


def test_a_test_set_of_two_stresses_is_read_by_the_one_that_was_named(tmp_path):
    two = {"a_stress": np.eye(3), "b_stress": 2 * np.eye(3)}
    test = boxes(tmp_path / "test.extxyz", seed=1, **two)
    labelled = labels_of(boxes(tmp_path / "labels.extxyz", **two), test=str(test), stress_key="b_stress")
    assert labelled.sets["test"][0].stress[0, 0] == 2.0
