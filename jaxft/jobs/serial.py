"""Serial executor: one task after the other, in this process; for tests, debugging, and quick references."""

from collections.abc import Callable, Sequence

from jaxft.jobs.executor import Result, Task, WorkerDied


class SerialExecutor:
    """Runs tasks in their order, here. A task that crashes the process crashes this one."""

    def run(
        self,
        function: Callable[[Task], Result],
        tasks: Sequence[Task],
        on_done: Callable[[int, Result | WorkerDied], None],
    ) -> None:
        """See ``Executor.run``."""
        for index, task in enumerate(tasks):
            on_done(index, function(task))
