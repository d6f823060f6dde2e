"""Committees of a run: trained once, where they are asked for, and read back."""

from dataclasses import replace

import numpy as np
import pytest

from jaxft.errors import InputError
from jaxft.study.settings import EvaluationSettings


def test_a_committee_of_one_is_refused():
    with pytest.raises(InputError, match="0, or 2 members or more"):
        EvaluationSettings(committee=1)
    assert replace(EvaluationSettings(), committee=2).committee == 2


@pytest.mark.slow
def test_members_differ_and_come_back(tmp_path, water, tiny):
    from jaxft.finetune.offset import fit_offset
    from jaxft.finetune.settings import FinetuneSettings
    from jaxft.potential.evaluate import Evaluator
    from jaxft.strategies.bench import Model
    from jaxft.structures.dataset import LabelledStructure
    from jaxft.study.committees import committee_of, train_committees
    from jaxft.study.layout import Layout
    from jaxft.study.progress import Silent
    from jaxft.study.replay import ReplaySettings

    random = np.random.default_rng(0)
    evaluate = Evaluator(tiny)
    data = []
    for _ in range(6):
        atoms = water.copy()
        atoms.positions += 0.05 * random.normal(size=atoms.positions.shape)
        said = evaluate(atoms)
        data.append(LabelledStructure(atoms, said.energy, said.forces + 0.1, None))
    offset = fit_offset([d.atoms for d in data], np.zeros(6))

    class Settings:
        evaluation = EvaluationSettings(committee=2)
        finetune = FinetuneSettings(updates=10, batch_size=2)
        replay = ReplaySettings()
        precision, seed = "float32", 0

    class View:
        settings, layout, base = Settings, Layout(tmp_path), tiny
        largest = (Model("FT1", "periodic", 6, "base", tiny, offset, data),)

        @staticmethod
        def start_boxes():
            return [water]

    assert committee_of(View, View.largest[0]) is None
    train_committees(View, Silent())
    committee = committee_of(View, View.largest[0])
    assert committee(water).forces_spread.min() > 0.0
    written = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("params.safetensors")}
    assert len(written) == 2
    train_committees(View, Silent())
    assert written == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("params.safetensors")}
