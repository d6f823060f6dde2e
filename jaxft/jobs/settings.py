"""Which executor a configuration asks for: one record, and the executor made from it."""

from dataclasses import dataclass, field

from jaxft.errors import InputError, nearest
from jaxft.jobs.executor import Executor
from jaxft.jobs.processes import ProcessExecutor
from jaxft.jobs.serial import SerialExecutor

KINDS = ("processes", "serial", "parsl")
PROVIDERS = ("local", "slurm", "pbs", "lsf")


@dataclass(frozen=True)
class ClusterSettings:
    """Where Parsl runs its workers. A block is one job of the batch system.

    provider            local (this machine), slurm, pbs or lsf
    queue               partition of Slurm, queue of PBS and LSF
    account             what the time is charged to (LSF: the project)
    walltime            of a block, hh:mm:ss; labels that it cuts off are given to another block
    nodes_per_block, workers_per_node, cores_per_node
    max_blocks          jobs that may run or wait at once; they are asked for as tasks need them, and given back
    scheduler_options   lines for the head of the job script, such as "#SBATCH --constraint=milan"
    worker_init         shell commands before the workers start: load modules, activate the environment
    exclusive           whole nodes (Slurm)
    run_dir             Parsl's logs and job scripts
    where               the section of the configuration, for messages
    """

    provider: str = "local"
    queue: str = ""
    account: str = ""
    walltime: str = "01:00:00"
    nodes_per_block: int = 1
    workers_per_node: int = 2
    cores_per_node: int | None = None
    max_blocks: int = 1
    scheduler_options: str = ""
    worker_init: str = ""
    exclusive: bool = True
    run_dir: str = "parsl"
    where: str = "labels"

    def __post_init__(self) -> None:
        if self.provider not in PROVIDERS:
            raise InputError(
                f"{self.where}.cluster.provider is {self.provider!r}; expected one of {', '.join(PROVIDERS)}"
                f"{nearest(self.provider, PROVIDERS)}"
            )
        for name in ("nodes_per_block", "workers_per_node", "max_blocks"):
            if getattr(self, name) < 1:
                raise InputError(f"{self.where}.cluster.{name} must be at least 1, got {getattr(self, name)}")
        parts = self.walltime.split(":")
        if len(parts) != 3 or not all(part.isdigit() for part in parts):
            raise InputError(f"{self.where}.cluster.walltime is {self.walltime!r}; expected hh:mm:ss, such as 04:00:00")


@dataclass(frozen=True)
class ExecutorSettings:
    """How tasks are run: kind (processes, serial, parsl), workers and their threads, seconds that one task may take.

    where: the section of the configuration, for messages.
    """

    kind: str = "processes"
    workers: int | None = None
    threads: int = 1
    time_limit: float | None = None
    cluster: ClusterSettings = field(default_factory=ClusterSettings)
    where: str = "labels"

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(
                f"{self.where}.executor is {self.kind!r}; expected one of {', '.join(KINDS)}{nearest(self.kind, KINDS)}"
            )
        if self.workers is not None and self.workers < 1:
            raise InputError(f"{self.where}.workers must be at least 1, got {self.workers}")
        if self.time_limit is not None and not self.time_limit > 0:
            raise InputError(f"{self.where}.time_limit_s must be positive, got {self.time_limit}")
        if self.kind == "serial" and self.time_limit is not None:
            raise InputError(
                f"{self.where}.time_limit_s needs workers that can be ended; set {self.where}.executor to processes"
            )


def open_executor(settings: ExecutorSettings) -> Executor:
    """The executor, to be used in a ``with`` block. Raises InputError where it is not installed."""
    if settings.kind == "serial":
        return SerialExecutor()
    if settings.kind == "parsl":
        from jaxft.jobs.parsl import ParslExecutor

        return ParslExecutor(settings.cluster, settings.threads, settings.time_limit)
    return ProcessExecutor(settings.workers, settings.threads, settings.time_limit)
