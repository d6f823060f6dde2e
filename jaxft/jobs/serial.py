"""Serial executor: one task after the other, in this process; for tests, debugging, and quick references."""

from collections.abc import Callable, Sequence

from jaxft.jobs.executor import Lost, Result, Task


class SerialExecutor:
    """Runs tasks in their order, here. A task that crashes or hangs does so to this process: there is no time limit."""

    here = True

    def run(
        self,
        function: Callable[[Task], Result],
        tasks: Sequence[Task],
        on_done: Callable[[int, Result | Lost], None],
    ) -> None:
        """See ``Executor.run``."""
        for index, task in enumerate(tasks):
            on_done(index, function(task))

    def __enter__(self) -> "SerialExecutor":
        return self

    def __exit__(self, *exception: object) -> None:
        """Nothing to end."""
