"""``jaxft md``: run, finished, continued, refused."""

import json
import os
import subprocess
import sys

import pytest
from ase.io import read

from jaxft.cli.config import MDConfiguration
from jaxft.cli.settings import simulate_settings
from jaxft.cli.yaml_file import read_as
from jaxft.errors import InputError
from jaxft.md.trajectory import read_trajectory

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
            "thermostat_time_fs is 20.0, but nvt-lang",
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
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        simulate_settings(read_as(MDConfiguration, configured(tmp_path, text)), tmp_path)


def test_a_stage_takes_only_what_its_ensemble_uses_from_the_settings(tmp_path):
    settings = simulate_settings(read_as(MDConfiguration, configured(tmp_path)), tmp_path)
    heat, produce = settings.stages
    assert (heat.settings.friction_per_ps, heat.from_temperature, heat.settings.temperature) == (20.0, 100.0, 300.0)
    assert (produce.settings.ensemble, produce.settings.friction_per_ps, produce.from_temperature) == (
        "nve",
        None,
        None,
    )
