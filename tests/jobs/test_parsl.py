"""The Parsl executor: the same values as on one machine, lost workers replaced, scripts of batch systems as asked for."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import task_functions as functions

parsl = pytest.importorskip("parsl", reason="parsl is not installed: pip install 'jaxft[cluster]'")

from jaxft.jobs.executor import TimedOut, WorkerDied
from jaxft.jobs.parsl import ParslExecutor, parsl_config
from jaxft.jobs.settings import ClusterSettings

pytestmark = [
    pytest.mark.slow,  # blocks start and end, and lost workers are noticed, in seconds
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture
def executor(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([os.environ.get("PYTHONPATH", ""), str(Path(__file__).parent)]))
    settings = ClusterSettings(workers_per_node=2, run_dir=str(tmp_path / "parsl"))
    with ParslExecutor(settings, time_limit=3.0) as executor:
        yield executor


def run(executor, function, tasks):
    results = {}
    executor.run(function, tasks, results.__setitem__)
    return [results[index] for index in range(len(tasks))]


def test_results_deaths_time_limits_and_errors_are_those_of_one_machine(executor):
    assert run(executor, functions.square, list(range(20))) == [n * n for n in range(20)]
    assert run(executor, functions.die_if_negative, [1, -1, 2]) == [1, WorkerDied(attempts=2), 2]
    assert run(executor, functions.sleep_if_negative, [1, -1, 2]) == [1, TimedOut(3.0), 2]
    with pytest.raises(ArithmeticError, match="3 is odd"):
        run(executor, functions.refuse_odd, [2, 3])
    assert run(executor, functions.square, [4]) == [16]


def test_a_killed_worker_of_parsl_is_replaced_and_its_task_given_to_another(executor, tmp_path):
    tasks = [str(tmp_path / str(number)) for number in range(20)]
    killed = []

    def on_done(index, result):
        if not killed:
            killed.append(result)
            os.kill(result, signal.SIGKILL)
        done[index] = result

    done = {}
    executor.run(functions.parent_process_id, tasks, on_done)
    assert sorted(done) == list(range(20))
    assert len(killed) == 1


INTERRUPTED_SCRIPT = """
import sys
import task_functions as functions
from jaxft.jobs.parsl import ParslExecutor
from jaxft.jobs.settings import ClusterSettings

if __name__ == "__main__":
    with ParslExecutor(ClusterSettings(run_dir=sys.argv[1])) as executor:
        executor.run(functions.say_and_sleep, [sys.argv[2]], print)
"""


def test_ctrl_c_at_a_terminal_ends_it(tmp_path):
    script, said = tmp_path / "script.py", tmp_path / "said"
    script.write_text(INTERRUPTED_SCRIPT)
    paths = os.pathsep.join([str(Path(__file__).parents[2]), str(Path(__file__).parent)])
    process = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path / "parsl"), str(said)],
        env={**os.environ, "PYTHONPATH": paths},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while not said.exists():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)  # a terminal sends it to the whole group, Parsl's interchange too
    _, errors = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "KeyboardInterrupt" in errors


def test_the_script_for_slurm_says_what_was_asked_for(tmp_path, monkeypatch):
    cluster = ClusterSettings(
        provider="slurm",
        queue="standard",
        account="project_1",
        walltime="04:00:00",
        nodes_per_block=2,
        workers_per_node=16,
        scheduler_options="#SBATCH --constraint=milan",
        worker_init="module load cp2k; source venv/bin/activate",
        run_dir=str(tmp_path),
    )
    provider = parsl_config(cluster, threads=8).executors[0].provider
    submitted = []
    monkeypatch.setattr(
        provider, "execute_wait", lambda command: submitted.append(command) or (0, "Submitted batch job 1", "")
    )
    provider.script_dir = str(tmp_path)
    provider.submit("process_worker_pool.py", tasks_per_node=1)
    [script] = [path for path in tmp_path.rglob("*") if path.is_file() and "#SBATCH" in path.read_text()]
    text = script.read_text()
    for line in (
        "#SBATCH --partition=standard",
        "#SBATCH --account=project_1",
        "#SBATCH --time=240",  # minutes
        "#SBATCH --nodes=2",
        "#SBATCH --constraint=milan",
        "#SBATCH --exclusive",
        "module load cp2k; source venv/bin/activate",
        "srun",
        "process_worker_pool.py",
    ):
        assert line in text, line
    assert submitted[0].startswith("sbatch")


def test_workers_of_a_node_get_their_threads(tmp_path):
    cluster = ClusterSettings(provider="slurm", workers_per_node=16, run_dir=str(tmp_path))
    executor = parsl_config(cluster, threads=8).executors[0]
    assert (executor.max_workers_per_node, executor.cores_per_worker) == (16, 8)
    assert not ParslExecutor(cluster).here


@pytest.mark.parametrize("provider", ["pbs", "lsf"])
def test_the_other_batch_systems_can_be_configured(provider, tmp_path):
    cluster = ClusterSettings(provider=provider, queue="q", walltime="02:00:00", run_dir=str(tmp_path))
    made = parsl_config(cluster, threads=1).executors[0].provider
    assert (made.queue, made.walltime) == ("q", "02:00:00")
