"""The labelled files of a fine-tune: which names they are read by, and how messages name their structures."""

import numpy as np
import pytest
from ase import Atoms
from ase.io import read, write

from jaxft.cli.config import FinetuneConfiguration
from jaxft.cli.settings import finetuning_settings
from jaxft.errors import InputError
from jaxft.structures.dataset import LabelledStructure
from jaxft.study.finetune_data import places, read_labels

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


def came_from(*wheres):
    return [LabelledStructure(Atoms("H"), 0.0, np.zeros((1, 3)), where=where) for where in wheres]


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ([0], "frame 1 of a b.extxyz"),
        ([0, 2, 0], "frames 1 and 12 of a b.extxyz"),
        ([0, 1, 2, 7], "frames 1, 7 and 12 of a b.extxyz and frame 0 of c frame 1.extxyz"),
        (range(7), "frames 1, 7, 12, 13 and 14 of a b.extxyz and 2 more"),
        ([7, 8], "frame 0 of c frame 1.extxyz and labelled structure 8"),
    ],
)
def test_structures_are_named_by_file_and_frame(numbers, words):
    frames = (1, 7, 12, 13, 14, 15, 16)
    data = came_from(*(f"a b.extxyz frame {k}" for k in frames), "c frame 1.extxyz frame 0", "")
    assert places(data, numbers) == words


def test_a_structure_without_its_weight_is_named_by_its_frame(tmp_path):
    path = boxes(tmp_path / "labels.extxyz", weigth=1.0)
    frames = [Atoms("O", info={"REF_energy": -430.0}), *read(path, ":")]
    frames[3].info["weigth"] = "heavy"
    write(path, frames, format="extxyz")
    with pytest.raises(InputError, match=r"labels.extxyz frame 1 \(H2O\) has no entry 'weight'.*did you mean 'weigth'"):
        labels_of(path, weight_key="weight")
    for weight in ("heavy", -1.0):
        frames[3].info["weigth"] = weight
        write(path, frames, format="extxyz")
        with pytest.raises(
            InputError, match=rf"labels.extxyz frame 3 \(H2O\): entry 'weigth' is '{weight}', expected a number of at"
        ):
            labels_of(path, weight_key="weigth")
