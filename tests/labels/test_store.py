"""The label store: exact, durable, safe with many writers, readable errors."""

import multiprocessing
import shutil
import sqlite3

import numpy as np
import pytest
from ase import Atoms

from jaxft.errors import InputError
from jaxft.labels.label import Cost, Failure, Label, Provenance
from jaxft.labels.store import Counts, Merged, open_store, read_store

PROVENANCE = Provenance("engine", "1.0", {"a": 1, "b": [0.1]}, -1.0, 4.0)
COST = Cost(1.5, 2.5, "somewhere")


def structure():
    atoms = Atoms("HO", positions=np.random.default_rng(0).normal(size=(2, 3)), cell=np.eye(3) * 7 + 0.1, pbc=[1, 0, 1])
    atoms.info = {"charge": -1, "multiplicity": 4}
    return atoms


def label(energy=-0.1, **changes):
    rng = np.random.default_rng(1)
    stress = rng.normal(size=(3, 3))
    values = {"forces": rng.normal(size=(2, 3)), "stress": stress, "moments": rng.normal(size=2)}
    return Label(energy, provenance=PROVENANCE, cost=COST, **{**values, "n_unpaired": 3.0, "scf_steps": 12, **changes})


def failure(detail="250 cycles"):
    return Failure("not converged", detail, PROVENANCE, COST)


def test_a_label_comes_back_to_the_last_bit(store):
    before = label(energy=0.1 + 0.2)
    store.put("key", "settings", structure(), before)
    after = store.get("key")
    assert after.energy == before.energy
    for name in ("forces", "stress", "moments"):
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name))
        assert getattr(after, name).dtype == np.float64
    assert (after.n_unpaired, after.scf_steps) == (3.0, 12)
    assert after.provenance == PROVENANCE
    assert after.cost == COST


def test_what_an_engine_does_not_tell_stays_untold(store):
    store.put("key", "settings", structure(), label(stress=None, moments=None, n_unpaired=None, scf_steps=None))
    after = store.get("key")
    assert (after.stress, after.moments, after.n_unpaired, after.scf_steps) == (None, None, None, None)


def test_a_failure_comes_back_with_its_reason(store):
    store.put("key", "settings", structure(), failure())
    assert str(store.get("key")) == "not converged: 250 cycles"
    assert store.get("key").cost == COST


def test_an_unknown_key_gives_nothing(store):
    assert store.get("key") is None
    assert "key" not in store


def test_the_structure_comes_back_exactly_with_charge_and_multiplicity(store):
    store.put("key", "settings", structure(), label())
    [stored] = store.entries()
    assert stored.key == "key"
    np.testing.assert_array_equal(stored.atoms.positions, structure().positions)
    np.testing.assert_array_equal(stored.atoms.cell.array, structure().cell.array)
    np.testing.assert_array_equal(stored.atoms.pbc, structure().pbc)
    assert stored.atoms.get_chemical_formula() == "HO"
    assert stored.atoms.info == {"charge": -1, "multiplicity": 4}


def test_entries_come_in_the_order_in_which_they_were_first_stored(store):
    for key in "cab":
        store.put(key, "settings", structure(), failure())
    store.put("c", "settings", structure(), label())
    assert [stored.key for stored in store.entries()] == ["c", "a", "b"]
    assert store.counts() == Counts(labels=1, failures=2)


def test_a_label_never_gives_way_and_a_failure_does(store):
    store.put("key", "settings", structure(), failure())
    store.put("key", "settings", structure(), label(energy=-1.0))
    store.put("key", "settings", structure(), label(energy=-2.0))
    store.put("key", "settings", structure(), failure())
    assert store.get("key").energy == -1.0
    assert store.counts() == Counts(labels=1, failures=0)


def test_entries_are_there_after_closing_and_opening(tmp_path):
    with open_store(tmp_path / "new" / "folder" / "labels.db") as store:
        store.put("key", "settings", structure(), label())
    assert sorted(p.name for p in (tmp_path / "new" / "folder").iterdir()) == ["labels.db"]
    with read_store(tmp_path / "new" / "folder" / "labels.db") as store:
        assert store.counts() == Counts(1, 0)


def test_versions_are_counted_for_labels_of_the_same_settings_only(store):
    store.put("1", "settings", structure(), label())
    store.put("2", "settings", structure(), failure())
    store.put("3", "other settings", structure(), label())
    assert store.versions("settings") == {"1.0": 1}


def test_a_copy_of_the_files_at_any_instant_is_a_valid_store_with_what_was_put(tmp_path):
    (tmp_path / "copies").mkdir()
    with open_store(tmp_path / "labels.db") as store:
        for number in range(5):
            store.put(str(number), "settings", structure(), label())
            for file in tmp_path.glob("labels.db*"):
                if not file.name.endswith("-shm"):  # what a crashed machine leaves behind: no shared memory
                    shutil.copy(file, tmp_path / "copies" / file.name)
            with open_store(tmp_path / "copies" / "labels.db") as copy:
                assert copy.counts() == Counts(number + 1, 0)
            for file in (tmp_path / "copies").iterdir():
                file.unlink()


def put_many(path, name, n):
    with open_store(path) as store:
        for number in range(n):
            store.put(f"{name} {number}", "settings", structure(), label())
            store.put(f"both {number}", "settings", structure(), label())


def test_processes_that_create_and_write_a_store_at_once_lose_nothing(tmp_path):
    path, n = tmp_path / "labels.db", 40
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=put_many, args=(path, name, n)) for name in "ab"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0]
    with read_store(path) as store:
        assert store.counts() == Counts(3 * n, 0)


def test_a_store_is_read_where_nothing_can_be_written(tmp_path, monkeypatch):
    path = tmp_path / "labels.db"
    with open_store(path) as store:
        store.put("key", "settings", structure(), label())
    monkeypatch.setattr("jaxft.labels.store.os.access", lambda path, mode: False)  # root may write everywhere
    before = sorted(file.name for file in tmp_path.iterdir())
    with read_store(path) as store:
        assert store.counts() == Counts(1, 0)
    assert sorted(file.name for file in tmp_path.iterdir()) == before
    with open_store(path) as writing:  # by someone who may
        writing.put("another", "settings", structure(), label())
        with read_store(path) as store:
            assert store.counts() == Counts(2, 0)


@pytest.mark.parametrize(
    "statement", ["CREATE TABLE format (name TEXT)", "CREATE TABLE format (name TEXT, version TEXT)", None]
)
def test_reading_makes_no_store_of_what_is_none(tmp_path, statement):
    path = tmp_path / "other.db"
    if statement is None:
        path.touch()
    else:
        connection = sqlite3.connect(path)
        connection.execute(statement)
        connection.close()
    with pytest.raises(InputError, match="no label store"):
        read_store(path)
    connection = sqlite3.connect(path)
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master")]
    connection.close()
    assert tables == ([] if statement is None else ["format"])


def test_a_full_disk_is_one_readable_line_and_leaves_what_was_stored(tmp_path):
    path = tmp_path / "labels.db"
    with open_store(path) as store:
        store.put("first", "settings", structure(), label())
        pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
        store._connection.execute(f"PRAGMA max_page_count = {pages}")
        large = structure().repeat((20, 20, 20))
        with pytest.raises(InputError, match=r"labels.db: there is no space left on the disk[^\n]*$"):
            store.put("second", "settings", large, label(forces=np.zeros((len(large), 3))))
        assert store.counts() == Counts(1, 0)
    with open_store(path) as store:
        assert store.counts() == Counts(1, 0)


def test_a_store_of_a_newer_format_is_refused(tmp_path):
    open_store(tmp_path / "labels.db").close()
    connection = sqlite3.connect(tmp_path / "labels.db")
    connection.execute("UPDATE format SET version = 3")
    connection.commit()
    connection.close()
    with pytest.raises(InputError, match="version 3, but this jaxft reads up to 2; update jaxft"):
        open_store(tmp_path / "labels.db")


def test_a_store_of_the_first_version_is_brought_up_to_date_with_all_its_labels(tmp_path):
    with open_store(tmp_path / "labels.db") as store:
        store.put("key", "settings", structure(), label())
    connection = sqlite3.connect(tmp_path / "labels.db")
    connection.execute("ALTER TABLE entries DROP COLUMN recipe")
    connection.execute("ALTER TABLE entries DROP COLUMN files")
    connection.execute("UPDATE format SET version = 1")
    connection.commit()
    connection.close()
    with open_store(tmp_path / "labels.db") as store:
        assert store.get("key").energy == label().energy
        store.put("other", "settings", structure(), label(recipe="slow mixing"))
        assert store.get("other").recipe == "slow mixing"


def test_what_was_spent_is_counted_by_reference_failures_included(store):
    store.put("1", "settings", structure(), label())
    store.put("2", "settings", structure(), failure())
    store.put("3", "others", structure(), label())
    first, second = store.spent()
    assert (first.settings_key, first.labels, first.failures, first.wall_s, first.cpu_s) == ("settings", 1, 1, 3.0, 5.0)
    assert first.reasons == {"not converged": 1}
    assert (second.settings_key, second.labels, second.failures) == ("others", 1, 0)


def test_a_merge_takes_labels_before_failures_and_keeps_its_own(tmp_path):
    with open_store(tmp_path / "a.db") as ours, open_store(tmp_path / "b.db") as theirs:
        ours.put("both", "settings", structure(), label(energy=-1.0))
        ours.put("failed here", "settings", structure(), failure())
        ours.put("failed there", "settings", structure(), label(energy=-1.0))
        theirs.put("both", "settings", structure(), label(energy=-2.0))
        theirs.put("failed here", "settings", structure(), label(energy=-3.0))
        theirs.put("failed there", "settings", structure(), failure())
        theirs.put("new", "settings", structure(), label(energy=-4.0))
        theirs.put("new failure", "settings", structure(), failure())
        assert ours.merge(theirs) == Merged(labels=1, failures=1, replaced=1, known=2, different=("both",))
        found = {stored.key: getattr(stored.entry, "energy", None) for stored in ours.entries()}
        assert found == {"both": -1, "failed here": -3, "failed there": -1, "new": -4, "new failure": None}
        assert theirs.counts() == Counts(3, 2)


def test_a_merge_without_room_changes_nothing(tmp_path):
    with open_store(tmp_path / "a.db") as ours, open_store(tmp_path / "b.db") as theirs:
        large = structure().repeat((5, 5, 5))
        for number in range(20):
            theirs.put(str(number), "settings", large, label(forces=np.zeros((len(large), 3))))
        pages = ours._connection.execute("PRAGMA page_count").fetchone()[0]
        ours._connection.execute(f"PRAGMA max_page_count = {pages + 5}")
        with pytest.raises(InputError, match="no space left"):
            ours.merge(theirs)
        assert ours.counts() == Counts(0, 0)


def test_another_sqlite_file_is_refused_and_left_alone(tmp_path):
    connection = sqlite3.connect(tmp_path / "labels.db")
    connection.execute("CREATE TABLE mine (x)")
    connection.commit()
    connection.close()
    with pytest.raises(InputError, match="no label store"):
        open_store(tmp_path / "labels.db")
    connection = sqlite3.connect(tmp_path / "labels.db")
    assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("mine",)]
    connection.close()


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path):
    text = "energies: none " * 100
    (tmp_path / "labels.db").write_text(text)
    with pytest.raises(InputError, match="no label store"):
        open_store(tmp_path / "labels.db")
    assert (tmp_path / "labels.db").read_text() == text


def test_a_store_that_must_exist_and_does_not_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="there is no label store at"):
        read_store(tmp_path / "labels.db")
    assert list(tmp_path.iterdir()) == []


def test_a_path_below_a_file_is_an_input_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="folder of the label store"):
        open_store(tmp_path / "file" / "labels.db")
