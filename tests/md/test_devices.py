"""Replicas over several devices, and how many fit into memory."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from lennard_jones import liquid

from jaxft.md import devices
from jaxft.md.devices import distribute, replicas_per_batch, replicas_that_fit

HERE = Path(__file__).parent


def test_eight_host_devices_share_eight_replicas_and_give_the_same_trajectories():
    environment = {
        **os.environ,
        "XLA_FLAGS": "--xla_force_host_platform_device_count=8",
        "PYTHONPATH": os.pathsep.join([str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")]),
    }
    command = [sys.executable, str(HERE / "eight_devices.py")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    n_devices, used, difference, of_six = done.stdout.split()
    assert (int(n_devices), int(used), int(of_six)) == (8, 8, 6)
    assert float(difference) < 1e-6


def test_one_device_needs_no_distribution():
    simulation = liquid(3)
    assert distribute(simulation) is simulation


def test_as_many_replicas_run_side_by_side_as_fit(monkeypatch):
    simulation = liquid(6)
    one, two = (devices._bytes(simulation, [0] * n, 4) for n in (1, 2))
    assert 1e4 < two - one < 1e8
    fixed = max(one - (two - one), 0)
    for free, fit in ((0, 1), ((fixed + 2.5 * (two - one)) / devices.USABLE, 2), (1e12, 6)):
        monkeypatch.setattr(devices, "free_memory", lambda free=free: int(free))
        assert replicas_that_fit(simulation, 4) == fit


def test_free_memory_is_some():
    assert devices.free_memory() == pytest.approx(devices.free_memory(), rel=0.5)
    assert devices.free_memory() > 1e6


def test_on_a_processor_as_many_run_side_by_side_as_its_caches_hold(monkeypatch):
    simulation = liquid(6)
    n_atoms = len(simulation.template)
    for atoms, expected in ((3 * n_atoms + 1, 3), (n_atoms - 1, 1), (100 * n_atoms, 6)):
        monkeypatch.setattr(devices, "CPU_ATOMS", atoms)
        assert replicas_per_batch(simulation, 4) == expected
    monkeypatch.setattr(devices, "free_memory", lambda: 0)
    assert replicas_per_batch(simulation, 4) == 1
