"""Executor: something that runs one function over many tasks and hands over each result the moment it is there.

Handing over at once, not at the end, is the point: the caller stores a result before the next one can go wrong.
Executors know nothing of atoms or labels. The function and its tasks must be picklable and the function importable by
its module's name.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")


@dataclass(frozen=True)
class WorkerDied:
    """What a task gives that killed every worker which tried it (out of memory, a crash in compiled code).

    attempts: how many workers it took with it.
    """

    attempts: int


@dataclass(frozen=True)
class TimedOut:
    """What a task gives that was still running after ``seconds``, and was ended."""

    seconds: float


Lost = WorkerDied | TimedOut
"""What a task may give in place of its result."""


class Executor(Protocol):
    """Runs tasks, in whatever order and place: serial, processes, a cluster.

    here: whether tasks run on this machine, so that what is installed here is what they find.
    """

    here: bool

    def run(
        self,
        function: Callable[[Task], Result],
        tasks: Sequence[Task],
        on_done: Callable[[int, Result | Lost], None],
    ) -> None:
        """Call ``on_done(i, function(tasks[i]))`` for each task as soon as it is done, always in the caller's thread.

        An exception that the function or ``on_done`` raises stops the run and reaches the caller; what was handed over
        before stays handed over. So does an interruption (ctrl-C).
        """
        ...

    def __enter__(self) -> "Executor":
        """Nothing yet: workers start with the first tasks."""
        ...

    def __exit__(self, *exception: object) -> None:
        """End the workers."""
        ...
