"""Executor on clusters: Parsl's high-throughput executor on this machine or under Slurm, PBS or LSF.

Inside each of Parsl's workers a task runs in a process of ours, so that a crash or a time limit costs that process and
not the worker, and gives the same values as on one machine. What Parsl itself loses (a node, a job at the end of its
time, a killed worker) is no fault of the task, which is then given to another worker.
"""

import logging
import shlex
import sys
import sysconfig
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxft.errors import InputError
from jaxft.jobs.executor import Lost, Result, Task, WorkerDied
from jaxft.jobs.processes import ProcessExecutor
from jaxft.jobs.settings import ClusterSettings

if TYPE_CHECKING:
    from parsl.config import Config

ATTEMPTS = 5
"""Workers that a task may lose: jobs end and nodes fail, so this is no sign of a bad task before several times."""

LABEL = "jaxft"
SCRIPTS = Path(sysconfig.get_path("scripts"))
"""Where pip puts Parsl's programs; not on the PATH of someone who runs ``.venv/bin/jaxft``."""

DEAF_TO_CTRL_C = (
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"
)
"""Starts Parsl's interchange. A terminal sends ctrl-C to it too, and without it Parsl waits for ever when it is told to end."""

HEARTBEAT = 5
"""s between signs of life, which is what it takes to notice a lost worker; three missed ones are a lost node."""


class ParslExecutor:
    """Runs tasks through Parsl, as many at once as its workers take. Blocks are asked for with the first tasks.

    They are given back by ``close``, or leaving a ``with`` block; ctrl-C gives them back at once.
    """

    def __init__(self, cluster: ClusterSettings, threads: int = 1, time_limit: float | None = None) -> None:
        try:
            import parsl  # noqa: F401
        except ImportError as error:
            raise InputError(
                f"labels.executor parsl can't be loaded ({error}); pip install 'jaxft[cluster]'"
            ) from error
        self.cluster = cluster
        self.threads = threads
        self.time_limit = time_limit
        self.here = cluster.provider == "local"
        self._kernel: Any = None

    def run(
        self,
        function: Callable[[Task], Result],
        tasks: Sequence[Task],
        on_done: Callable[[int, Result | Lost], None],
    ) -> None:
        """See ``Executor.run``. Raises InputError where Parsl can't get any workers."""
        from parsl.executors.errors import BadStateException
        from parsl.executors.high_throughput.errors import ManagerLost, WorkerLost

        if not tasks:
            return
        submit = self._submitter()
        losses: Counter[int] = Counter()
        running: dict[Future[Any], int] = {submit(function, task): index for index, task in enumerate(tasks)}
        try:
            while running:
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    index = running[future]
                    error = future.exception()
                    if error is None:
                        on_done(index, future.result())
                    elif isinstance(error, WorkerLost | ManagerLost):
                        losses[index] += 1
                        if losses[index] < ATTEMPTS:
                            running[submit(function, tasks[index])] = index
                        else:
                            on_done(index, WorkerDied(losses[index]))
                    elif isinstance(error, BadStateException):
                        raise InputError(
                            f"Parsl gets no workers: {' '.join(str(error).split())[-300:]}; see {self.cluster.run_dir}"
                        ) from error
                    else:
                        raise error
                    del running[future]  # only now, so that an interruption can't lose it
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                for future, index in running.items():
                    if future.done() and future.exception() is None:
                        on_done(index, future.result())
            self.close()  # the only way to end what runs
            raise

    def close(self) -> None:
        """End the workers and give their jobs back; a later ``run`` asks for new ones."""
        kernel, self._kernel = self._kernel, None
        if kernel is not None:
            kernel.cleanup()

    def __enter__(self) -> "ParslExecutor":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _submitter(self) -> Callable[[Callable[[Task], Result], Task], "Future[Any]"]:
        from parsl.app.python import PythonApp
        from parsl.dataflow.dflow import DataFlowKernel

        if self._kernel is None:
            logging.getLogger("parsl").addHandler(logging.NullHandler())
            self._kernel = DataFlowKernel(parsl_config(self.cluster, self.threads))
        app = PythonApp(_in_process_of_its_own, data_flow_kernel=self._kernel, executors=[LABEL])
        return lambda function, task: app(function, task, self.threads, self.time_limit)


def parsl_config(cluster: ClusterSettings, threads: int) -> "Config":
    """Parsl's configuration for a cluster: one high-throughput executor, blocks that follow the number of tasks."""
    from parsl.config import Config
    from parsl.executors import HighThroughputExecutor

    executor = HighThroughputExecutor(
        label=LABEL,
        provider=_provider(cluster),
        max_workers_per_node=cluster.workers_per_node,
        cores_per_worker=1e-6 if cluster.provider == "local" else threads,  # locally as many as are asked for
        heartbeat_period=HEARTBEAT,
        heartbeat_threshold=3 * HEARTBEAT,
        interchange_launch_cmd=[sys.executable, "-c", DEAF_TO_CTRL_C, str(SCRIPTS / "interchange.py")],
        **({"address": "127.0.0.1"} if cluster.provider == "local" else {}),
    )
    return Config(
        executors=[executor],
        run_dir=str(Path(cluster.run_dir)),
        strategy="simple",
        max_idletime=60.0,
        initialize_logging=False,
        usage_tracking=0,
    )


def _provider(cluster: ClusterSettings) -> Any:
    from parsl.launchers import SingleNodeLauncher, SrunLauncher
    from parsl.providers import LocalProvider, LSFProvider, PBSProProvider, SlurmProvider

    blocks = {"init_blocks": 1, "min_blocks": 0, "max_blocks": cluster.max_blocks}
    # behind what the user's commands put there: most clusters see one disk from all nodes
    here = shlex.quote(str(Path.cwd()))  # where a module of the user's may be
    worker_init = (
        f'export PATH="$PATH:{SCRIPTS}" PYTHONPATH="${{PYTHONPATH:+$PYTHONPATH:}}"{here}\n{cluster.worker_init}'
    )
    if cluster.provider == "local":
        return LocalProvider(**blocks, worker_init=worker_init)
    common = {
        **blocks,
        "nodes_per_block": cluster.nodes_per_block,
        "walltime": cluster.walltime,
        "scheduler_options": cluster.scheduler_options,
        "worker_init": worker_init,
    }
    if cluster.provider == "slurm":
        return SlurmProvider(
            partition=cluster.queue or None,
            account=cluster.account or None,
            cores_per_node=cluster.cores_per_node,
            exclusive=cluster.exclusive,
            launcher=SrunLauncher(),
            **common,
        )
    if cluster.provider == "pbs":
        return PBSProProvider(
            queue=cluster.queue or None,
            account=cluster.account or None,
            cpus_per_node=cluster.cores_per_node or cluster.workers_per_node,
            launcher=SingleNodeLauncher(),
            **common,
        )
    return LSFProvider(
        queue=cluster.queue or None,
        project=cluster.account or None,
        cores_per_node=cluster.cores_per_node,
        launcher=SingleNodeLauncher(),
        **common,
    )


def _in_process_of_its_own(function: Callable[[Any], Any], task: Any, threads: int, time_limit: float | None) -> Any:
    """Runs in Parsl's worker: one process of ours beside it, kept for its next task."""
    outcomes: list[Any] = []
    _executor(threads, time_limit).run(function, [task], lambda _, outcome: outcomes.append(outcome))
    return outcomes[0]


@lru_cache(maxsize=1)
def _executor(threads: int, time_limit: float | None) -> ProcessExecutor:
    return ProcessExecutor(workers=1, threads=threads, time_limit=time_limit)
