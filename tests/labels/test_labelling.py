"""Many structures in, their labels out: each paid once, stored at once, whatever happens in between."""

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from jaxft.errors import InputError
from jaxft.jobs.processes import ProcessExecutor
from jaxft.jobs.serial import SerialExecutor
from jaxft.labels.engine import find_engine
from jaxft.labels.label import Failure, Label
from jaxft.labels.labelling import Progress, label_structures
from jaxft.labels.reference import ReferenceSettings
from jaxft.labels.store import Counts, open_store

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(params=["serial", "processes"])
def executor(request):
    if request.param == "serial":
        yield SerialExecutor()
    else:
        with ProcessExecutor(workers=2) as processes:
            yield processes


def calculations(log):
    return sorted(float(line) for line in log.read_text().split()) if log.exists() else []


def test_labels_come_in_the_order_given_and_identical_structures_are_computed_once(row, springs, log, store, executor):
    entries = label_structures(row([1, 2, 1, 3, 2]), springs, store, executor)
    assert [entry.energy for entry in entries] == [0.5 * x * x + 2 for x in (1, 2, 1, 3, 2)]
    assert calculations(log) == [1, 2, 3]
    assert store.counts() == Counts(3, 0)


def test_nothing_is_computed_twice(row, springs, log, store):
    first = label_structures(row([1, 2]), springs, store, SerialExecutor())
    second = label_structures(row([2, 3, 1]), springs, store, SerialExecutor())
    assert calculations(log) == [1, 2, 3]
    np.testing.assert_array_equal(second[2].forces, first[0].forces)
    assert second[2].cost == first[0].cost  # the very same one


def test_each_label_is_stored_before_the_next_is_computed(row, springs, log, store):
    def stop_at_two(progress):
        if progress.done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        label_structures(row([1, 2, 3]), springs, store, SerialExecutor(), stop_at_two)
    assert store.counts() == Counts(2, 0)
    assert calculations(log) == [1, 2]


def test_progress_counts_what_was_found_and_what_failed(row, springs, store):
    label_structures(row([1]), springs, store, SerialExecutor())
    seen = []
    label_structures(row([1, 6, 2, 2]), springs, store, SerialExecutor(), seen.append)
    assert seen == [Progress(3, 1, 1, 0), Progress(3, 1, 2, 1), Progress(3, 1, 3, 1)]


def test_a_failure_is_recorded_and_computed_again_only_on_request(row, springs, store, monkeypatch):
    import stub_calculators

    label_structures(row([6]), springs, store, SerialExecutor())
    monkeypatch.setattr(stub_calculators.Springs, "misbehave", lambda self: None)
    [again] = label_structures(row([6]), springs, store, SerialExecutor())
    assert isinstance(again, Failure)
    assert again.reason == "not converged"
    [retried] = label_structures(row([6]), springs, store, SerialExecutor(), retry_failed=True)
    assert isinstance(retried, Label)
    assert store.counts() == Counts(1, 0)


def test_a_structure_that_kills_its_workers_is_a_failure_and_the_others_are_labelled(row, springs, store):
    with ProcessExecutor(workers=2) as executor:
        entries = label_structures(row([1, 11, 2]), springs, store, executor)
    assert [isinstance(entry, Label) for entry in entries] == [True, False, True]
    assert entries[1].reason == "worker died"
    assert entries[1].provenance.engine == springs.engine


def test_a_structure_over_the_time_limit_is_a_failure_and_the_others_are_labelled(row, log, store):
    slow = ReferenceSettings("stub_calculators:Sleepy", {"log": str(log)})
    with ProcessExecutor(workers=2, time_limit=8.0) as executor:  # of 60 s, and of what a busy machine needs to import
        entries = label_structures(row([1, 8, 2]), slow, store, executor)
    assert [isinstance(entry, Label) for entry in entries] == [True, False, True]
    assert (entries[1].reason, "8 s (labels.time_limit_s)" in entries[1].detail) == ("timed out", True)


def tell_versions_late(reference, monkeypatch, versions):
    """Let only calculations tell the version, these one after another, as programs do that are read by their output."""
    engine, told = find_engine(reference.engine), iter(versions)
    late = replace(
        engine,
        version=lambda settings: None,
        compute=lambda *given: replace(engine.compute(*given), version=next(told)),
    )
    for module in ("labelling", "reference"):
        monkeypatch.setattr(f"jaxft.labels.{module}.find_engine", lambda name: late)


def test_a_version_that_only_a_calculation_tells_stops_the_run_behind_the_first_label(row, springs, store, monkeypatch):
    tell_versions_late(springs, monkeypatch, ["2.0", "2.0", "3.0", "3.0"])
    label_structures(row([1, 2]), springs, store, SerialExecutor())
    with pytest.raises(InputError, match=r"is version 3.0 where it computes.*accept_versions"):
        label_structures(row([1, 2, 3, 4]), springs, store, SerialExecutor())
    assert store.counts() == Counts(3, 0)  # the one that told is kept
    entries = label_structures(row([4]), springs, store, SerialExecutor(), accept_versions=["2.0", "3.0"])
    assert entries[0].provenance.version == "3.0"


def test_a_store_of_two_versions_stays_refused_until_both_are_accepted(row, springs, store, monkeypatch):
    tell_versions_late(springs, monkeypatch, ["2.0", "3.0"])
    label_structures(row([1]), springs, store, SerialExecutor())
    for words in ("is version 3.0 where it computes", "1 by version 2.0, 1 by version 3.0"):
        with pytest.raises(InputError, match=words):
            label_structures(row([1, 2]), springs, store, SerialExecutor())
    with pytest.raises(InputError, match=r"1 by version 3\.0"):
        label_structures(row([1, 2]), springs, store, SerialExecutor(), accept_versions=["2.0"])
    assert len(label_structures(row([1, 2]), springs, store, SerialExecutor(), accept_versions=["2.0", "3.0"])) == 2


def test_no_label_is_begun_where_none_can_be_stored(row, springs, log, store, monkeypatch):
    label_structures(row([1]), springs, store, SerialExecutor())
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=5000))
    with pytest.raises(InputError, match="no space left on the disk for more labels"):
        label_structures(row([1, 2]), springs, store, SerialExecutor())
    assert calculations(log) == [1]
    assert len(label_structures(row([1]), springs, store, SerialExecutor())) == 1  # needs no room


def test_a_failure_on_a_full_scratch_disk_is_no_structures(row, springs, store, monkeypatch):
    room = {store.path.parent: 10**9}
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=room.get(path, 5000)))
    reference = replace(springs, engine="stub_calculators:Littering")
    with pytest.raises(InputError, match="no space left for scratch files"):
        label_structures(row([1]), reference, store, SerialExecutor())
    assert store.counts() == Counts(0, 0)


def test_charges_are_part_of_what_is_labelled(row, store):
    hydroxide, radical = row([0.97, 0.97])
    for atoms in (hydroxide, radical):
        atoms.positions[1] = 0.0
    hydroxide.info["charge"] = -1
    entries = label_structures([hydroxide, radical], ReferenceSettings(), store, SerialExecutor())
    assert entries[0].energy < entries[1].energy
    assert [entry.provenance.charge for entry in entries] == [-1, 0]


def test_mistakes_in_the_reference_are_found_before_anything_is_computed(row, store):
    with pytest.raises(InputError, match="did you mean 'method'"):
        label_structures(row([1]), ReferenceSettings(settings={"metod": "GFN1-xTB"}), store, SerialExecutor())
    assert store.counts() == Counts(0, 0)


def test_labels_of_another_version_stop_the_run_until_they_are_accepted(row, springs, log, store, monkeypatch):
    import stub_calculators

    label_structures(row([1]), springs, store, SerialExecutor())
    monkeypatch.setattr(stub_calculators, "__version__", "2.0")
    with pytest.raises(InputError, match=r"1 by version 1.0.*this is version 2.0.*accept_versions to \['1.0'\]"):
        label_structures(row([1, 2]), springs, store, SerialExecutor())
    assert calculations(log) == [1]
    entries = label_structures(row([1, 2]), springs, store, SerialExecutor(), accept_versions=["1.0"])
    assert [entry.provenance.version for entry in entries] == ["1.0", "2.0"]
    assert calculations(log) == [1, 2]


def test_a_full_disk_stops_with_one_line_and_keeps_what_was_stored(row, springs, store):
    def fill_the_disk(progress):
        if progress.done == 1:
            pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
            store._connection.execute(f"PRAGMA max_page_count = {pages}")

    with pytest.raises(InputError, match=r"no space left on the disk[^\n]*$"):
        label_structures(row(np.linspace(1, 2, 200)), springs, store, SerialExecutor(), fill_the_disk)
    assert 1 <= store.counts().labels < 200


KILLED_SCRIPT = """
    import sys
    import numpy as np
    from ase import Atoms
    from jaxft.jobs.processes import ProcessExecutor
    from jaxft.labels.labelling import label_structures
    from jaxft.labels.reference import ReferenceSettings
    from jaxft.labels.store import open_store

    path, log = sys.argv[1:]
    rows = [Atoms("HO", positions=[[x, 0, 0], [0, 0, 2]]) for x in np.arange(12) / 10 + 1]
    reference = ReferenceSettings("stub_calculators:Springs", {"log": log, "sleep": 0.03})
    with open_store(path) as store, ProcessExecutor(workers=2) as executor:
        label_structures(rows, reference, store, executor)
"""


def start(script, folder, *arguments):
    path = folder / "script.py"
    path.write_text(textwrap.dedent(script))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(Path(__file__).parent)])}
    return subprocess.Popen([sys.executable, str(path), *map(str, arguments)], env=environment, start_new_session=True)


@pytest.mark.parametrize("whole_group", [False, True], ids=["process", "process group"])
def test_killed_at_any_moment_and_run_again_all_labels_are_there_and_none_was_paid_twice(tmp_path, log, whole_group):
    path = tmp_path / "labels.db"
    stored = set()
    for at_least in (2, 6, 10):
        log.write_text("")
        with start(KILLED_SCRIPT, tmp_path, path, log) as process:
            seen = wait_for_labels(path, at_least, process)
            if whole_group:
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
        check_integrity(path)
        assert stored <= seen <= keys(path)
        assert not {x for _, x in stored} & set(calculations(log))
        stored = keys(path)
    with start(KILLED_SCRIPT, tmp_path, path, log) as process:
        pass
    assert process.returncode == 0
    check_integrity(path)
    assert sorted(x for _, x in keys(path)) == pytest.approx(np.arange(12) / 10 + 1)


def wait_for_labels(path, n, process):
    """Keys in the store once there are ``n``, or once the process has ended."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = keys(path)
        if len(found) >= n or process.poll() is not None:
            return found
        time.sleep(0.005)
    raise TimeoutError


def test_two_processes_that_start_at_once_share_one_store_and_pay_once(tmp_path, log):
    both = [start(KILLED_SCRIPT, tmp_path, tmp_path / "labels.db", log) for _ in range(2)]
    for process in both:
        with process:
            pass
        assert process.returncode == 0
    assert calculations(log) == pytest.approx(np.arange(12) / 10 + 1)


def test_what_a_killed_process_was_computing_is_computed_by_the_one_that_waits(tmp_path, log, row, springs):
    path = tmp_path / "labels.db"
    seen = []
    with start(KILLED_SCRIPT, tmp_path, path, log) as process:
        wait_for_labels(path, 2, process)

        def kill_once_waiting(progress):
            seen.append(progress)
            if progress.waiting:
                process.kill()

        slow = replace(springs, settings={**springs.settings, "sleep": 0.03})
        with open_store(path) as store:
            entries = label_structures(row(np.arange(12) / 10 + 1), slow, store, SerialExecutor(), kill_once_waiting)
    assert all(isinstance(entry, Label) for entry in entries)
    assert max(progress.waiting for progress in seen) > 0
    assert seen[-1].done == 12
    assert "another process" in next(p.note for p in seen if p.waiting)


def keys(path):
    """Keys and first coordinates of the labels in a store that others may be writing."""
    if not path.exists():
        return set()
    with open_store(path) as store:
        return {(stored.key, round(stored.atoms.positions[0, 0], 3)) for stored in store.entries()}


def check_integrity(path):
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


def test_serial_and_process_labels_are_the_same_bytes(tmp_path, row):
    structures = row([0.9, 1.1])
    labels = []
    with ProcessExecutor(workers=2) as processes:
        for name, executor in (("serial", SerialExecutor()), ("processes", processes)):
            with open_store(tmp_path / f"{name}.db") as store:
                labels.append(label_structures(structures, ReferenceSettings(), store, executor))
    for serial, process in zip(*labels, strict=True):
        assert serial.energy == process.energy
        assert serial.forces.tobytes() == process.forces.tobytes()


def test_neither_the_labelling_process_nor_its_workers_import_jax(tmp_path):
    script = """
        import sys
        from ase.build import molecule
        from jaxft.jobs.processes import ProcessExecutor
        from jaxft.labels.labelling import label_structures
        from jaxft.labels.reference import ReferenceSettings
        from jaxft.labels.store import open_store
        from jaxft.labels.validity import refusal
        from loaded import loaded

        water = molecule("H2O")
        with open_store(sys.argv[1]) as store, ProcessExecutor(workers=1) as executor:
            [label] = label_structures([water], ReferenceSettings(), store, executor)
            assert refusal(label, water) is None
            executor.run(loaded, [("jax", "jax_md", "flax", "tblite")], lambda i, names: print(*names))
        print(*loaded(("jax", "jax_md", "flax")))
    """
    (tmp_path / "loaded.py").write_text(
        "import sys\ndef loaded(names):\n    return [name for name in names if name in sys.modules]\n"
    )
    path = tmp_path / "script.py"
    path.write_text(textwrap.dedent(script))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path)])}
    output = subprocess.run(
        [sys.executable, str(path), str(tmp_path / "labels.db")],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert output == "tblite\n\n"
