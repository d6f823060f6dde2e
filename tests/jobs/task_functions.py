"""Functions that workers import: each does one thing that a real task may do."""

import os
import signal
import sys
import time
from pathlib import Path


def square(number):
    return number * number


def process_id(_):
    return os.getpid()


def wait_for(path):
    """Return once the file is there; a task that can only end after another one was handed over."""
    deadline = time.monotonic() + 30
    while not Path(path).exists():
        if time.monotonic() > deadline:
            raise TimeoutError(path)
        time.sleep(0.01)
    return path


def first_or_wait(path):
    return "first" if path is None else wait_for(path)


def die_if_negative(number):
    if number < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def die_once(marker):
    if not Path(marker).exists():
        Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "survived"


def refuse_odd(number):
    if number % 2:
        raise ArithmeticError(f"{number} is odd")
    return number


def modules_and_threads(_):
    return sorted(sys.modules), {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}


def say_and_sleep(path):
    hidden = Path(f"{path}.new")
    hidden.write_text(str(os.getpid()))
    hidden.rename(path)  # there with its content, or not there
    time.sleep(60)


def fail_to_start():
    raise MemoryError("no room for a worker")


def start_program_and_sleep(path):
    """Start a program of our own that would outlive us, say which, and wait."""
    import subprocess

    program = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    hidden = Path(f"{path}.new")
    hidden.write_text(str(program.pid))
    hidden.rename(path)
    time.sleep(60)


def sleep_if_negative(number):
    if number < 0:
        time.sleep(60)
    return number


def parent_process_id(_):
    """Of the worker in which our process runs; takes a moment, so that others are busy when it is killed."""
    time.sleep(0.2)
    return os.getppid()
