"""The Slurm provider against Slurm itself: a controller and one node on this machine, for as long as the test runs."""

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest
import task_functions as functions

pytest.importorskip("parsl", reason="parsl is not installed: pip install 'jaxft[cluster]'")

from jaxft.jobs.parsl import ParslExecutor
from jaxft.jobs.settings import ClusterSettings

CONFIGURATION = """
ClusterName=here
SlurmctldHost={host}
AuthType=auth/none
CredType=cred/none
SlurmUser=root
SlurmdUser=root
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
StateSaveLocation={folder}
SlurmdSpoolDir={folder}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
ReturnToService=2
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
NodeName={host} CPUs={cores} State=UNKNOWN
PartitionName=test Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""

pytestmark = [
    pytest.mark.slow,  # daemons and jobs start and end in tens of seconds
    pytest.mark.skipif(
        shutil.which("slurmctld") is None or os.geteuid() != 0,
        reason="needs Slurm's daemons (apt-get install slurm-wlm) and root, to start them",
    ),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """A cluster of one node, which knows no authentication and is gone with the test."""
    file = tmp_path / "slurm.conf"
    host, cores = socket.gethostname().split(".")[0], os.cpu_count()
    file.write_text(CONFIGURATION.format(host=host, cores=cores, folder=tmp_path, ports=(free_port(), free_port())))
    monkeypatch.setenv("SLURM_CONF", str(file))
    daemons = []
    try:
        for name in ("slurmctld", "slurmd"):
            log = (tmp_path / f"{name}.log").open("wb")
            daemons.append(subprocess.Popen([name, "-D"], stdout=log, stderr=log))
            log.close()
        deadline = time.monotonic() + 60
        while "idle" not in run("sinfo", "--noheader", "--format=%t"):
            assert time.monotonic() < deadline, (tmp_path / "slurmd.log").read_text()
            time.sleep(0.2)
        yield
    finally:
        for daemon in reversed(daemons):
            daemon.terminate()
            daemon.wait()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run(*command):
    return subprocess.run(command, capture_output=True, text=True).stdout


def test_a_job_that_slurm_ends_in_the_middle_is_asked_for_again_and_all_tasks_are_done(slurm, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([os.environ.get("PYTHONPATH", ""), str(Path(__file__).parent)]))
    cluster = ClusterSettings(
        provider="slurm", queue="test", walltime="00:10:00", exclusive=False, run_dir=str(tmp_path / "parsl")
    )
    jobs, done = [], {}

    def on_done(index, result):
        done[index] = result
        if not jobs:
            jobs.extend(run("squeue", "--noheader", "--format=%i").split())
            run("scancel", *jobs)

    with ParslExecutor(cluster) as executor:
        executor.run(functions.parent_process_id, list(range(20)), on_done)
    assert len(jobs) == 1
    assert sorted(done) == list(range(20))
    assert len(set(done.values())) > 2  # two workers of the job that was ended, and others after it
    states = run("squeue", "--noheader", "--format=%i", "--states=PENDING,RUNNING")
    assert states.split() == []
