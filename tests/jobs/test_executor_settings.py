"""Which executor a configuration asks for."""

import pytest

from jaxft.errors import InputError
from jaxft.jobs.processes import ProcessExecutor
from jaxft.jobs.serial import SerialExecutor
from jaxft.jobs.settings import ClusterSettings, ExecutorSettings, open_executor


def test_each_kind_gives_its_executor():
    with open_executor(ExecutorSettings("serial")) as serial:
        assert isinstance(serial, SerialExecutor)
    with open_executor(ExecutorSettings(workers=3, threads=2, time_limit=5.0)) as processes:
        assert isinstance(processes, ProcessExecutor)
        assert (processes.workers, processes.threads, processes.time_limit) == (3, 2, 5.0)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"kind": "proceses"}, "did you mean 'processes'"),
        ({"workers": 0}, "workers must be at least 1"),
        ({"time_limit": 0.0}, "time_limit_s must be positive"),
        ({"kind": "serial", "time_limit": 1.0}, "set labels.executor to processes"),
    ],
)
def test_mistakes_are_input_errors(settings, words):
    with pytest.raises(InputError, match=words):
        ExecutorSettings(**settings)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"provider": "slrum"}, "did you mean 'slurm'"),
        ({"workers_per_node": 0}, "workers_per_node must be at least 1"),
        ({"walltime": "1h"}, "expected hh:mm:ss"),
    ],
)
def test_mistakes_of_the_cluster_are_input_errors(settings, words):
    with pytest.raises(InputError, match=words):
        ClusterSettings(**settings)
