"""The common set of a study: of the same system, its runs told apart or not at all."""

from types import SimpleNamespace

import numpy as np
import pytest

from jaxft.errors import InputError
from jaxft.structures.dataset import LabelledStructure, write_dataset
from jaxft.study.run_view import RunView


def viewed(path, structures, box):
    """A view of a run with this common set, of a study of ``box``."""
    write_dataset(path, [LabelledStructure(a, -1.0 - k, np.zeros((len(a), 3)), None) for k, a in enumerate(structures)])
    view = RunView(SimpleNamespace(evaluation=SimpleNamespace(common_set=path)), None, None)
    view.__dict__["models"] = [SimpleNamespace(data=[SimpleNamespace(atoms=box)])]
    return view


def marked(water, runs):
    frames = []
    for k, run in enumerate(runs):
        atoms = water.copy()
        atoms.positions += 0.01 * k
        if run is not None:
            atoms.info["run"] = run
        frames.append(atoms)
    return frames


@pytest.mark.parametrize(("runs", "expected"), [((0, 1, 0), [0, 1, 0]), ((None, None), [0, 0])])
def test_runs_are_told_apart_by_their_entry(tmp_path, water, runs, expected):
    view = viewed(tmp_path / "common.extxyz", marked(water, runs), water)
    assert view.common_runs().tolist() == expected


@pytest.mark.parametrize("runs", [(None, 1), ("a", "b")])
def test_runs_that_only_some_frames_name_are_refused(tmp_path, water, runs):
    view = viewed(tmp_path / "common.extxyz", marked(water, runs), water)
    with pytest.raises(InputError, match="frame 0 has run="):
        view.common_runs()


def test_frames_of_another_system_are_refused(tmp_path, water):
    view = viewed(tmp_path / "common.extxyz", [water[:3]], water)
    with pytest.raises(InputError, match="but this study is of"):
        view.common_set()
