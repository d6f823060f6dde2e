"""The process executor: results at once, deaths survived, nothing left over."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from functools import partial
from pathlib import Path

import pytest
import task_functions as functions

from jaxft.jobs.executor import TimedOut, WorkerDied
from jaxft.jobs.processes import ProcessExecutor

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def executor():
    with ProcessExecutor(workers=2) as executor:
        yield executor


def run(executor, function, tasks):
    """Results by index; fails where one is handed over twice."""
    results = {}

    def on_done(index, result):
        assert index not in results
        results[index] = result

    executor.run(function, tasks, on_done)
    return [results[i] for i in range(len(tasks))]


def gone(process_id, seconds=20):
    """Whether the process ends within that time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            os.kill(process_id, 0)
        except ProcessLookupError:
            return True
        if Path(f"/proc/{process_id}/stat").is_file():
            state = Path(f"/proc/{process_id}/stat").read_text().rsplit(")", 1)[1].split()[0]
            if state == "Z":  # dead, and only waits for a container's first process to notice
                return True
        time.sleep(0.02)
    return False


def test_every_task_is_answered_once_under_its_own_index(executor):
    assert run(executor, functions.square, list(range(20))) == [n * n for n in range(20)]


def test_a_result_is_handed_over_while_other_tasks_still_run(executor, tmp_path):
    path = tmp_path / "the first result is here"
    threads = []

    def on_done(index, result):
        threads.append(threading.current_thread())
        if result == "first":
            path.touch()

    executor.run(functions.first_or_wait, [str(path), None], on_done)
    assert threads == [threading.main_thread()] * 2


def test_workers_are_other_processes_and_are_kept_for_the_next_run(executor):
    first, second = (set(run(executor, functions.process_id, list(range(8)))) for _ in range(2))
    assert os.getpid() not in first
    assert len(first) <= 2
    assert second <= first


def test_workers_have_their_thread_count_before_they_import_numpy_and_ours_is_untouched(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    with ProcessExecutor(workers=1, threads=3) as executor:
        [(modules, threads)] = run(executor, functions.modules_and_threads, [0])
    assert threads == {"OMP_NUM_THREADS": "3", "OPENBLAS_NUM_THREADS": "3"}
    assert "numpy" not in modules
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "OPENBLAS_NUM_THREADS" not in os.environ


def test_a_task_that_kills_its_worker_twice_becomes_a_value_and_the_others_are_done(executor):
    assert run(executor, functions.die_if_negative, [1, -1, 2, 3]) == [1, WorkerDied(attempts=2), 2, 3]


def test_a_task_whose_worker_was_killed_once_is_done_by_a_new_one(executor, tmp_path):
    assert run(executor, functions.die_once, [str(tmp_path / "died")]) == ["survived"]


def test_an_idle_worker_that_died_is_replaced():
    with ProcessExecutor(workers=1) as executor:
        [first] = run(executor, functions.process_id, [0])
        os.kill(first, 9)
        assert gone(first)
        [second] = run(executor, functions.process_id, [0])
    assert second != first


def test_workers_that_cannot_start_are_an_error_and_no_fault_of_the_task(monkeypatch, capfd):
    monkeypatch.setattr("jaxft.jobs.processes._begin", functions.fail_to_start)
    with ProcessExecutor(workers=1) as executor, pytest.raises(RuntimeError, match="can't be started"):
        run(executor, functions.square, [1, 2])
    assert "no room for a worker" in capfd.readouterr().err


def test_a_worker_that_dies_while_it_starts_is_replaced(monkeypatch, tmp_path):
    marker = tmp_path / "died"
    monkeypatch.setattr("jaxft.jobs.processes._begin", partial(functions.die_once, str(marker)))
    with ProcessExecutor(workers=1) as executor:
        assert run(executor, functions.square, [2]) == [4]
    assert marker.exists()


def test_an_exception_of_the_function_reaches_the_caller_and_the_executor_still_works(executor):
    with pytest.raises(ArithmeticError, match="3 is odd"):
        run(executor, functions.refuse_odd, [2, 3])
    assert run(executor, functions.refuse_odd, [4]) == [4]


def test_a_function_that_workers_cannot_import_is_an_exception_not_a_dead_worker(executor):
    def local(number):
        return number

    with pytest.raises(AttributeError, match="local"):
        run(executor, local, [1])


def test_an_interruption_ends_the_running_workers_and_hands_over_what_was_done(executor, tmp_path):
    paths = [tmp_path / "0", tmp_path / "1"]
    handed = []

    def on_done(index, result):
        handed.append(index)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        executor.run(_write_then_sleep_unless_first, [(str(p), i) for i, p in enumerate(paths)], on_done)
    assert set(handed) == {0}
    assert gone(int(paths[1].read_text()))


def _write_then_sleep_unless_first(task):
    path, index = task
    if index == 0:
        functions.wait_for(str(Path(path).with_name("1")))
        return index
    functions.say_and_sleep(path)


def test_workers_end_when_their_parent_is_killed(tmp_path):
    script = f"""
        import task_functions as functions
        from jaxft.jobs.processes import ProcessExecutor
        files = [{str(tmp_path / "a")!r}, {str(tmp_path / "b")!r}]
        ProcessExecutor(workers=2).run(functions.say_and_sleep, files, print)
    """
    with start(script, tmp_path) as parent:
        files = [functions.wait_for(tmp_path / name) for name in ("a", "b")]
        workers = [int(file.read_text()) for file in files]
        parent.kill()
    assert all(gone(worker) for worker in workers)


def test_a_task_over_its_time_limit_becomes_a_value_and_the_others_are_done():
    with ProcessExecutor(workers=2, time_limit=0.5) as executor:
        assert run(executor, functions.sleep_if_negative, [1, -1, 2, 3]) == [1, TimedOut(0.5), 2, 3]
        assert run(executor, functions.square, [2, 3]) == [4, 9]


def test_programs_that_a_task_started_end_with_its_time_limit(tmp_path):
    with ProcessExecutor(workers=1, time_limit=1.0) as executor:
        run(executor, functions.start_program_and_sleep, [str(tmp_path / "program")])
    assert gone(int((tmp_path / "program").read_text()))


def test_programs_that_a_task_started_end_when_the_parent_is_killed(tmp_path):
    script = f"""
        import task_functions as functions
        from jaxft.jobs.processes import ProcessExecutor
        ProcessExecutor(workers=1).run(functions.start_program_and_sleep, [{str(tmp_path / "program")!r}], print)
    """
    with start(script, tmp_path) as parent:
        program = int(functions.wait_for(tmp_path / "program").read_text())
        parent.kill()
    assert gone(program)


def test_ctrl_c_at_a_terminal_ends_everything_without_a_word_from_the_workers(tmp_path):
    # a test run that was itself started in the background hands down ignored interrupts
    script = f"""
        import signal
        signal.signal(signal.SIGINT, signal.default_int_handler)
        import task_functions as functions
        from jaxft.jobs.processes import ProcessExecutor
        files = [{str(tmp_path / "a")!r}, {str(tmp_path / "b")!r}]
        try:
            ProcessExecutor(workers=2).run(functions.say_and_sleep, files, print)
        except KeyboardInterrupt:
            print("interrupted")
    """
    with start(script, tmp_path) as parent:
        functions.wait_for(tmp_path / "a")  # the other worker may still be starting
        os.killpg(parent.pid, signal.SIGINT)
        output, _ = parent.communicate(timeout=60)
    assert output == "interrupted\n"
    assert gone(int((tmp_path / "a").read_text()))


def test_workers_import_nothing_of_the_main_script_which_needs_no_guard(tmp_path):
    log = tmp_path / "imports"
    script = f"""
        import colorsys
        with open({str(log)!r}, "a") as file: file.write("imported ")
        import task_functions as functions
        from jaxft.jobs.processes import ProcessExecutor
        with ProcessExecutor(workers=2) as executor:
            executor.run(functions.modules_and_threads, [0, 1], lambda i, r: print("colorsys" in r[0]))
    """
    with start(script, tmp_path) as process:
        output, _ = process.communicate(timeout=60)
    assert output.split() == ["False", "False"]
    assert log.read_text() == "imported "


def start(script, folder):
    """A Python process that runs ``script`` from a file, as a user's script would."""
    path = folder / "script.py"
    path.write_text(textwrap.dedent(script))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(Path(__file__).parent)])}
    return subprocess.Popen(
        [sys.executable, str(path)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
