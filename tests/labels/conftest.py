"""Stub calculators for labels, here and in the workers that are started from here, and a store."""

from pathlib import Path

import pytest
from ase import Atoms

from jaxft.labels.reference import ReferenceSettings
from jaxft.labels.store import open_store


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))


@pytest.fixture
def log(tmp_path):
    """A file that gets one line for each calculation of ``springs``."""
    return tmp_path / "calculations"


@pytest.fixture
def springs(log):
    """A reference that costs nothing and counts its calculations."""
    return ReferenceSettings(engine="stub_calculators:Springs", settings={"log": str(log)})


@pytest.fixture
def store(tmp_path):
    with open_store(tmp_path / "labels.db") as store:
        yield store


@pytest.fixture
def row():
    """Function that makes n different structures; ``x`` is where their first atoms are, in Å."""
    return lambda x: [Atoms("HO", positions=[[value, 0, 0], [0, 0, 2]]) for value in x]
