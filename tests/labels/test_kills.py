"""A hundred kills at random moments over one labelling of 50 structures."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from jaxft.labels.store import open_store

ROOT = Path(__file__).resolve().parents[2]
N = 50
KILLS = 100
SCRIPT = f"""
import sys
import numpy as np
from ase import Atoms
from jaxft.jobs.processes import ProcessExecutor
from jaxft.labels.labelling import label_structures
from jaxft.labels.reference import ReferenceSettings
from jaxft.labels.store import open_store

path, log = sys.argv[1:]
rows = [Atoms("HO", positions=[[x, 0, 0], [0, 0, 2]]) for x in np.arange({N}) / 20 + 1]
reference = ReferenceSettings("stub_calculators:Springs", {{"log": log, "sleep": 0.25}})
with open_store(path) as store, ProcessExecutor(workers=2) as executor:
    label_structures(rows, reference, store, executor)
"""


def workers_of(process_id):
    listed = subprocess.run(
        ["ps", "-o", "pid=,args=", "--ppid", str(process_id)], capture_output=True, text=True
    ).stdout
    return [int(line.split()[0]) for line in listed.splitlines() if "spawn_main" in line]


def strike(process, workers, how):
    try:
        if how == "process":
            process.kill()
        elif how == "group":
            os.killpg(process.pid, signal.SIGKILL)
        elif how == "worker" and workers:
            os.kill(random.choice(workers), signal.SIGKILL)
        elif how == "interrupt":
            os.killpg(process.pid, signal.SIGINT)
    except ProcessLookupError:
        pass


def stored(path):
    """First coordinates of the labels; fails where the store is damaged or holds a failure."""
    if not path.exists():
        return set()
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
    with open_store(path) as store:
        assert store.counts().failures == 0
        return {f"{entry.atoms.positions[0, 0]:.3f}" for entry in store.entries()}


@pytest.mark.slow
def test_a_hundred_kills_lose_no_label_and_pay_none_twice(tmp_path):
    random.seed(0)
    path, log = tmp_path / "labels.db", tmp_path / "log"
    (tmp_path / "script.py").write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(Path(__file__).parent)])}
    command = [sys.executable, str(tmp_path / "script.py"), str(path), str(log)]
    busy = 0
    for number in range(KILLS):
        before = stored(path)
        if len(before) == N:  # all there before all kills were made: begin again
            path.unlink()
            before = set()
        log.write_text("")
        with subprocess.Popen(command, env=environment, start_new_session=True, stderr=subprocess.DEVNULL) as process:
            if random.random() < 0.8:  # else in the middle of starting
                wait_for_a_calculation(log, process)
            time.sleep(random.uniform(0.0, 1.0))
            workers = workers_of(process.pid)
            how = random.choice(["process", "worker", "group", "interrupt"])
            strike(process, workers, how)
            if how == "worker":
                time.sleep(random.uniform(0.0, 0.5))
                process.kill()
        wait_until_gone(workers)
        busy += bool(log.read_text()) and len(stored(path)) < N
        assert not before & set(log.read_text().split()), (number, how)
        assert before <= stored(path)
    subprocess.run(command, env=environment, check=True)
    assert stored(path) == {f"{x:.3f}" for x in np.arange(N) / 20 + 1}
    assert busy > KILLS // 2  # kills that met calculations


def wait_for_a_calculation(log, process):
    deadline = time.monotonic() + 60
    while not log.read_text() and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def wait_until_gone(process_ids):
    deadline = time.monotonic() + 20
    for process_id in process_ids:
        state = Path(f"/proc/{process_id}/stat")
        while state.exists() and state.read_text().rsplit(")", 1)[1].split()[0] != "Z":
            assert time.monotonic() < deadline, "a worker outlived the process that started it"
            time.sleep(0.02)
