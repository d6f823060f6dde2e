"""``jaxft md``: run, finished, continued, refused."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
from ase.build import molecule
from ase.io import read, write

from jaxft.cli.config import MDConfiguration
from jaxft.cli.settings import simulate_settings
from jaxft.cli.yaml_file import read_as
from jaxft.errors import InputError
from jaxft.md.trajectory import read_trajectory
from jaxft.study.progress import Silent
from jaxft.study.simulate import simulate

WATER = """
system: {composition: {H2O: 4}, density_g_cm3: 1.0}
md: {temperature: 300, friction_per_ps: 20.0, frame_every: 4}
stages:
  - {name: heat, ps: 0.02, temperature: [100, 300]}
  - {name: produce, ps: 0.02, ensemble: nve}
replicas: 3
replicas_per_batch: 2
"""


def configured(folder, text=WATER):
    path = folder / "water.yaml"
    path.write_text(text)
    return path


def jaxft_md(config, folder):
    environment = {**os.environ, "JAX_ENABLE_X64": "0", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "jaxft", "md", str(config), "-o", str(folder)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("md")
    config = configured(folder)
    done = jaxft_md(config, folder / "out")
    assert done.returncode == 0, done.stderr
    return config, folder / "out", done.stdout


def test_every_stage_of_every_replica_is_recorded_and_summarised(finished):
    _, out, printed = finished
    names = [f"{stage}-{k}.h5md" for stage in ("heat", "produce") for k in range(3)]
    assert sorted(path.name for path in (out / "trajectories").iterdir()) == sorted(names)
    assert all(len(read_trajectory(out / "trajectories" / name)) == 10 for name in names)
    stages = json.loads((out / "summary.json").read_text())["stages"]
    assert [len(stages[name]) for name in ("heat", "produce")] == [3, 3]
    assert stages["produce"][2]["frames"] == 10
    assert printed.count("produce") >= 3
    used = json.loads((out / "summary.json").read_text())["settings"]
    assert set(used) == {"heat", "produce"}
    assert all(used[name]["timestep_fs"] > 0.0 for name in used)
    assert len({str(read(out / "end" / f"replica-{k}.extxyz").positions) for k in range(3)}) == 3
    record = json.loads((out / "record.json").read_text())
    # one program for each ensemble and size of batch
    assert record["sessions"][0]["compilations"]["blocks of dynamics"] >= 4


def test_a_finished_run_says_so_and_another_configuration_is_refused(finished, tmp_path):
    config, out, _ = finished
    assert "finished; nothing to do" in jaxft_md(config, out).stdout
    other = jaxft_md(configured(tmp_path, WATER + "seed: 1\n"), out)
    assert other.returncode == 2
    assert "differs in seed" in other.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (WATER.replace("ensemble: nve", "ensemble: nvt"), "md.ensemble is 'nvt'"),
        (
            WATER.replace("friction_per_ps: 20.0", "thermostat_time_fs: 20.0"),
            "thermostat_time_fs is 20.0, but no stage uses it",
        ),
        (WATER.replace("[100, 300]", "[100, 200, 300]"), "has 3 temperatures"),
        (WATER.replace("[100, 300]", "0"), "md.temperature must be positive, got 0"),
        (WATER.replace("ensemble: nve", "ensemble: ''"), "md.ensemble is ''"),
        (WATER.replace("name: heat", "name: produce"), "different names"),
        (
            WATER.replace("ps: 0.02, ens", "picoseconds: 0.02, ens"),
            r"stages\.1\.ps is missing; unknown key .stages\.1\.picoseconds",
        ),
        (WATER.replace("replicas_per_batch: 2", "replicas_per_batch: many"), "auto or null, got 'many'"),
        (WATER.replace("replicas: 3", "replicas: 0"), "replicas must be at least 1"),
        (WATER.replace("name: heat", "name: ../../heat"), "since it names files"),
        (WATER.replace("name: heat", "name: ''"), "since it names files"),
        (WATER.replace("[100, 300]", "[0, 300]"), "begins at 0.0 K; expected more than 0 K"),
        (WATER.replace("ps: 0.02, temp", "ps: 0.0004, temp"), "less than a frame of 2 fs"),
        (WATER.replace("ensemble: nve", "ensemble: nve, temperature: 900"), "momenta come from the stage before it"),
        (WATER.replace("frame_every: 4", "frame_every: 4, max_volume_change: 1.5"), "the volume is constant under"),
        (
            WATER.replace("frame_every: 4", "frame_every: 4, min_distance: -1"),
            "md.min_distance is -1.0, expected 0 or more",
        ),
        (
            WATER.replace("frame_every: 4", "frame_every: 4, max_bond_stretch: 0"),
            "md.max_bond_stretch is 0.0, expected more",
        ),
        (WATER + "seed: -1\n", "seed must be a whole number from 0"),
        (WATER + "precision: float16\n", "precision must be float32 or float64"),
        (WATER + "checkpoint_every_s: -5\n", "checkpoint_every_s must be 0 or more"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        simulate_settings(read_as(MDConfiguration, configured(tmp_path, text)), tmp_path)


def test_a_setting_that_some_stage_uses_is_not_refused_for_the_default_ensemble(tmp_path):
    text = WATER.replace("md: {", "md: {ensemble: nve, ").replace(
        "temperature: [100, 300]}", "temperature: [100, 300], ensemble: nvt-langevin}"
    )
    heat, produce = simulate_settings(read_as(MDConfiguration, configured(tmp_path, text)), tmp_path).stages
    assert (heat.settings.friction_per_ps, produce.settings.friction_per_ps) == (20.0, None)


def test_a_length_between_frames_is_rounded_and_said(tmp_path):
    text = WATER.replace("ps: 0.02, ens", "ps: 0.0241, ens")
    with pytest.warns(UserWarning, match=r"0.0241 ps is 12.05 frames of 2 fs; it will be 12"):
        simulate_settings(read_as(MDConfiguration, configured(tmp_path, text)), tmp_path)


@pytest.mark.parametrize(
    ("structures", "words"),
    [(2, "holds 2 structures, expected one"), (1, "needs a cell that is periodic")],
)
def test_a_start_that_a_later_stage_can_not_use_is_refused_before_anything_is_written(tmp_path, structures, words):
    write(tmp_path / "water.xyz", [molecule("H2O")] * structures)
    text = WATER.replace("{composition: {H2O: 4}, density_g_cm3: 1.0}", "{structure: water.xyz}").replace(
        "nve", "npt-nose-hoover"
    )
    settings = simulate_settings(read_as(MDConfiguration, configured(tmp_path, text)), tmp_path)
    with pytest.raises(InputError, match=words):
        simulate(settings, tmp_path / "out", Silent())
    assert not (tmp_path / "out").exists()


def test_a_stage_takes_only_what_its_ensemble_uses_from_the_settings(tmp_path):
    settings = simulate_settings(read_as(MDConfiguration, configured(tmp_path)), tmp_path)
    heat, produce = settings.stages
    assert (heat.settings.friction_per_ps, heat.from_temperature, heat.settings.temperature) == (20.0, 100.0, 300.0)
    assert (produce.settings.ensemble, produce.settings.friction_per_ps, produce.from_temperature) == (
        "nve",
        None,
        None,
    )


PARSL = pytest.param(
    "{executor: parsl, cluster: {workers_per_node: 2}}",
    marks=[
        pytest.mark.slow,
        pytest.mark.skipif(find_spec("parsl") is None, reason="parsl is not installed: pip install 'jaxft[cluster]'"),
    ],
    id="parsl",
)


@pytest.mark.parametrize("jobs", [pytest.param("{executor: processes, workers: 2}", id="processes"), PARSL])
def test_batches_of_replicas_run_in_workers(finished, tmp_path, monkeypatch, jobs):
    monkeypatch.chdir(tmp_path)  # where Parsl keeps its logs
    _, out, _ = finished
    config = configured(tmp_path, WATER + f"jobs: {jobs}\n")
    done = jaxft_md(config, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    for stage in ("heat", "produce"):
        for k in range(3):
            here, there = (
                read_trajectory(folder / "trajectories" / f"{stage}-{k}.h5md") for folder in (out, tmp_path / "out")
            )
            np.testing.assert_allclose(here.positions[:], there.positions[:], atol=1e-5)
