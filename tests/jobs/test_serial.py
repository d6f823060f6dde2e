"""The serial executor."""

import pytest

from jaxft.jobs.serial import SerialExecutor


def test_each_result_is_handed_over_before_the_next_task_begins():
    seen = []
    SerialExecutor().run(lambda n: (n, len(seen)), [5, 6, 7], lambda i, result: seen.append((i, result)))
    assert seen == [(0, (5, 0)), (1, (6, 1)), (2, (7, 2))]


def test_an_exception_stops_the_run_and_keeps_what_was_handed_over():
    seen = []
    with pytest.raises(ZeroDivisionError):
        SerialExecutor().run(lambda n: 1 / n, [1, 0, 2], lambda i, result: seen.append(result))
    assert seen == [1.0]
