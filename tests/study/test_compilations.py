"""New weights never compile anew: a periodic run of five rounds, one program per shape."""

import json
from pathlib import Path

from jaxft.cli.settings import settings_from
from jaxft.cli.yaml_file import read_configuration
from jaxft.md.block import COMPILATIONS
from jaxft.study.progress import Silent
from jaxft.study.run import run_study

STUDY = """
system: {composition: {H2O: 4}, density_g_cm3: 1.0}
base: cobalt-mini
labels: {executor: serial}
md: {temperature: 300, friction_per_ps: 5.0, start_ps: 0.01, equilibrate_ps: 0.01, produce_ps: 0.02, frame_every: 4}
strategies: [periodic]
budgets: [1, 2, 3, 4, 5]
finetune: {updates: 4, batch_size: 1, learning_rate: 1.0e-3}
evaluation: {labels_per_model: 1, test_ps: 0.01, seeds: 1}
"""


def test_five_rounds_compile_one_block_per_shape(tmp_path: Path):
    path = tmp_path / "study.yaml"
    path.write_text(STUDY)
    COMPILATIONS.clear()
    run_study(settings_from(read_configuration(path), tmp_path), tmp_path / "run", Silent())
    record = json.loads((tmp_path / "run" / "record.json").read_text())
    # five rounds, boxes and the tests of six models: each shape once, and few shapes
    assert set(COMPILATIONS.values()) == {1}
    assert record["sessions"][-1]["compilations"]["blocks of dynamics"] == len(COMPILATIONS)
    rounds = [shape for _, shape, positions, _ in COMPILATIONS if positions[0] == 1 and shape.frames > 1]
    assert len({shape._replace(frames=0, edges=0, candidates=0) for shape in rounds}) == 1
    assert len(COMPILATIONS) <= 3
