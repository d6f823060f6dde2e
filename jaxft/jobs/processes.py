"""Executor on this machine's cores: worker processes, one task each at a time, a dead one replaced.

Each worker is a ``ProcessPoolExecutor`` of its own with one process, so that a death names its task and takes no other
task with it. Workers start afresh (spawn), with their thread count fixed before NumPy is imported, and import nothing
of the main script. They end with their parent, however it ends.
"""

import os
import signal
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import connection, get_context, parent_process
from types import ModuleType

from jaxft.jobs.executor import Lost, Result, Task, TimedOut, WorkerDied

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""Read by the numerical libraries when they are loaded, and only then."""

ATTEMPTS = 2
"""A worker may be killed by something else (the system short of memory); a task that kills two is to blame."""

GRACE = 5.0
"""s that programs started by an ended worker have to end by themselves."""

POLL = 0.1
"""s between looks at a worker that is still starting, where there is a time limit."""


class ProcessExecutor:
    """Runs tasks in ``workers`` processes (default: one per core that we may use) of ``threads`` threads each.

    Workers start with the first tasks and are kept for the next ``run``; ``close``, or leaving a ``with`` block, ends
    them. A task that kills its worker is tried once more in a new one, and then gives ``WorkerDied``. One that takes
    longer than ``time_limit`` seconds (None: no limit) is ended with its worker and gives ``TimedOut``. With a worker
    end all the programs that it started. Ctrl-C hands over what is done, ends the workers at once and goes on to the
    caller as KeyboardInterrupt.
    """

    here = True

    def __init__(self, workers: int | None = None, threads: int = 1, time_limit: float | None = None) -> None:
        self.workers = workers or _cores()
        self.threads = threads
        self.time_limit = time_limit
        self._idle: list[_Worker] = []

    def run(
        self,
        function: Callable[[Task], Result],
        tasks: Sequence[Task],
        on_done: Callable[[int, Result | Lost], None],
    ) -> None:
        """See ``Executor.run``. Raises RuntimeError where workers can't even start.

        An interruption in the middle of ``on_done`` calls it once more for that result.
        """
        waiting = deque(range(len(tasks)))
        deaths: Counter[int | None] = Counter()  # by task; None: of workers that never came up, in a row
        running: dict[Future[Result], _Running] = {}
        try:
            while waiting or running:
                while waiting and len(running) < self.workers:
                    index = waiting.popleft()
                    future, worker = self._submit(function, tasks[index])
                    running[future] = _Running(index, worker)
                done = wait(running, self._until_next_deadline(running.values()), return_when=FIRST_COMPLETED).done
                for future in done:
                    index, worker = running[future].index, running[future].worker
                    if not isinstance(future.exception(), BrokenProcessPool):
                        on_done(index, future.result())
                        del running[future]  # only now, so that an interruption can't lose it
                        self._idle.append(worker)
                        deaths[None] = 0
                        continue
                    del running[future]
                    worker.end()
                    culprit = index if worker.came_up() else None
                    deaths[culprit] += 1
                    if deaths[culprit] < ATTEMPTS:
                        waiting.appendleft(index)
                    elif culprit is None:
                        raise RuntimeError("worker processes can't be started; what they wrote is above")
                    else:
                        on_done(index, WorkerDied(deaths[index]))
                for future in [f for f in running if not f.done() and self._is_overdue(running[f])]:
                    index, worker = running[future].index, running[future].worker
                    worker.kill()
                    # it may have got there in the last moment
                    on_done(index, TimedOut(self.time_limit or 0.0) if future.exception() else future.result())
                    del running[future]
        except KeyboardInterrupt:
            for future, task in running.items():
                if future.done() and future.exception() is None:
                    on_done(task.index, future.result())
            raise
        finally:
            for task in running.values():
                task.worker.kill()

    def close(self) -> None:
        """End the workers; a later ``run`` starts new ones."""
        while self._idle:
            self._idle.pop().end()

    def __enter__(self) -> "ProcessExecutor":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _submit(self, function: Callable[[Task], Result], task: Task) -> "tuple[Future[Result], _Worker]":
        while self._idle:
            worker = self._idle.pop()
            try:
                return worker.pool.submit(function, task), worker
            except BrokenProcessPool:  # it died while it was idle
                worker.end()
        worker = _start(self.threads)
        return worker.pool.submit(function, task), worker

    def _until_next_deadline(self, tasks: "Iterable[_Running]") -> float | None:
        if self.time_limit is None:
            return None
        deadlines = [task.deadline(self.time_limit) for task in tasks]
        return max(0.0, min(deadlines) - time.monotonic())

    def _is_overdue(self, task: "_Running") -> bool:
        return self.time_limit is not None and task.deadline(self.time_limit) <= time.monotonic()


@dataclass(frozen=True)
class _Worker:
    """One process. ``process_id`` is done once the process is up and its initialiser has run, or once it has died."""

    pool: ProcessPoolExecutor
    process_id: "Future[int]"

    def came_up(self) -> bool:
        """Whether it ever got as far as taking tasks; waits until that is known."""
        return self.process_id.exception() is None

    def end(self) -> None:
        """Let it go, wait until it has gone, and end what it started and left behind."""
        self.pool.shutdown(wait=True)
        self._end_group()

    def kill(self) -> None:
        """End it in the middle of its task."""
        if self.came_up():
            _signal_group(self.process_id.result(), signal.SIGTERM)
        self.pool.shutdown(wait=True, cancel_futures=True)
        self._end_group()

    def _end_group(self) -> None:
        """Programs that the worker started may need a moment to end their own (mpirun); then they are killed."""
        if not self.came_up():
            return
        deadline = time.monotonic() + GRACE
        while _signal_group(self.process_id.result(), signal.SIGTERM) and time.monotonic() < deadline:
            time.sleep(0.02)
        _signal_group(self.process_id.result(), signal.SIGKILL)


@dataclass
class _Running:
    """A task and its worker. Its time begins when the worker is up: starting one takes as long as it takes."""

    index: int
    worker: _Worker
    began: float | None = None

    def deadline(self, limit: float) -> float:
        """When its time is over, by the monotonic clock; soon, to ask again, where it has not begun."""
        if self.began is None and self.worker.process_id.done():
            self.began = time.monotonic()
        return time.monotonic() + POLL if self.began is None else self.began + limit


def _signal_group(process_id: int, number: int) -> bool:
    """Send a signal to a worker and all that it started; whether any of them was there."""
    with suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process_id, number)
        else:  # Windows has no groups
            os.kill(process_id, number)
        return True
    return False


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # knows of containers and batch systems; Linux only
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _start(threads: int) -> _Worker:
    pool = ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn"), initializer=_begin)
    with _interruptions_held(), _thread_variables(threads), _main_module_hidden():
        return _Worker(pool, pool.submit(os.getpid))


def _begin() -> None:
    """First thing in a worker: leave ctrl-C to the parent, lead a group of our own, and end when the parent has ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "setpgid"):
        os.setpgid(0, 0)  # so that the programs that tasks start can be ended with us
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    # a worker that waits for its next task would otherwise outlive a killed parent for ever
    parent = parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    if hasattr(os, "killpg"):
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


@contextmanager
def _interruptions_held() -> Iterator[None]:
    """Hold ctrl-C back while a worker starts, here and (it is inherited) in the worker before it can ignore it."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _thread_variables(threads: int) -> Iterator[None]:
    """Set the thread counts that a process started now inherits, and put ours back."""
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _main_module_hidden() -> Iterator[None]:
    """Keep a spawned process from importing the main script again.

    Workers need nothing of it; importing it would load JAX into them where the script does, and fail in scripts without
    the ``if __name__ == "__main__"`` guard and in notebooks.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
