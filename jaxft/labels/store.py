"""The label store: one SQLite file with every label and failure ever paid for and its structure, by content key.

Each entry is one atomic statement, durable when it returns, so that a crash at any instant leaves a valid store with
everything that was put. Many processes may read and write it at once (write-ahead log; one machine, not a network
disk).
"""

import json
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ase import Atoms

from jaxft.errors import InputError
from jaxft.labels.claims import SUFFIX
from jaxft.labels.label import Entry
from jaxft.labels.rows import COLUMNS, entry_to_row, row_to_atoms, row_to_entry

FORMAT = "jaxft-labels"
VERSION = 2
"""2 added the recipe of a label and the folder that a failure left (jaxft 0.1 before its release wrote 1)."""

SAME_ENERGY = 1e-6
"""eV; two labels of one key that differ by more do not come from the same calculation."""

BUSY_TIMEOUT = 60.0
"""s that a writer waits for the others; one write takes milliseconds."""

_SCHEMA = """
CREATE TABLE format (name TEXT NOT NULL, version INTEGER NOT NULL);
CREATE TABLE entries (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    settings_key TEXT NOT NULL,
    numbers BLOB NOT NULL, positions BLOB NOT NULL, cell BLOB NOT NULL, pbc BLOB NOT NULL,
    engine TEXT NOT NULL, version TEXT NOT NULL, settings TEXT NOT NULL, charge REAL NOT NULL, multiplicity REAL,
    energy REAL, forces BLOB, stress BLOB, n_unpaired REAL, moments BLOB, scf_steps INTEGER,
    recipe TEXT, reason TEXT, detail TEXT, files TEXT,
    wall_s REAL, cpu_s REAL, host TEXT, stored_at REAL NOT NULL,
    CHECK ((reason IS NULL) = (energy IS NOT NULL AND forces IS NOT NULL))
);
CREATE INDEX entries_by_settings ON entries (settings_key, version);
"""
# What a store of an older version lacks, by the version that brought it.
_MIGRATIONS = {2: ("ALTER TABLE entries ADD COLUMN recipe TEXT", "ALTER TABLE entries ADD COLUMN files TEXT")}
# A failure gives way to whatever comes later; a label never gives way.
_PUT = (
    f"INSERT INTO entries ({', '.join(COLUMNS)}) VALUES ({', '.join(f':{c}' for c in COLUMNS)}) "
    f"ON CONFLICT (key) DO UPDATE SET {', '.join(f'{c} = excluded.{c}' for c in COLUMNS if c != 'key')} "
    "WHERE entries.reason IS NOT NULL"
)


class Stored(NamedTuple):
    """One row: its key, the structure (charge and multiplicity in its info), what the reference gave, and which it was."""

    key: str
    atoms: Atoms
    entry: Entry
    settings_key: str


@dataclass(frozen=True)
class Counts:
    """How many entries of each kind a store holds."""

    labels: int
    failures: int


@dataclass(frozen=True)
class Spent:
    """What was spent on one reference (engine, version, settings), as a store remembers it.

    labels, failures   how many; reasons: failures by reason
    wall_s, cpu_s      sums over the entries that know it, labels and failures
    """

    settings_key: str
    engine: str
    version: str
    settings: Mapping[str, Any]
    labels: int
    failures: int
    reasons: Mapping[str, int]
    wall_s: float
    cpu_s: float


@dataclass(frozen=True)
class Merged:
    """What a merge did: labels and failures that were new, labels that took a failure's place, and what was there already.

    different   keys whose labels differ in energy by more than ``SAME_ENERGY``; the one that was there stayed
    """

    labels: int
    failures: int
    replaced: int
    known: int
    different: tuple[str, ...]


class LabelStore:
    """An open store. Use ``open_store`` to get one, in a ``with`` block or with ``close``; for one thread."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self.path = path
        self._connection = connection

    def put(self, key: str, settings_key: str, atoms: Atoms, entry: Entry) -> None:
        """Store an entry under its key. Where a label is there already, that one stays; a failure is replaced.

        Raises InputError where the disk is full or the store can't be written; what it held before is not touched.
        """
        with _readable_errors(self.path):
            self._connection.execute(_PUT, entry_to_row(key, settings_key, atoms, entry))

    def get(self, key: str) -> Entry | None:
        """The entry of that key, or None."""
        with _readable_errors(self.path):
            row = self._connection.execute("SELECT * FROM entries WHERE key = ?", (key,)).fetchone()
        return None if row is None else row_to_entry(row)

    def __contains__(self, key: str) -> bool:
        return self.get(key) is not None

    def entries(self) -> Iterator[Stored]:
        """All entries in the order in which their keys were first stored."""
        with _readable_errors(self.path):
            rows = self._connection.execute("SELECT * FROM entries ORDER BY id").fetchall()
        for row in rows:
            yield Stored(row["key"], row_to_atoms(row), row_to_entry(row), row["settings_key"])

    def counts(self) -> Counts:
        """How many labels and failures there are."""
        with _readable_errors(self.path):
            labels, failures = self._connection.execute(
                "SELECT COUNT(*) FILTER (WHERE reason IS NULL), COUNT(*) FILTER (WHERE reason IS NOT NULL) FROM entries"
            ).fetchone()
        return Counts(labels, failures)

    def versions(self, settings_key: str) -> dict[str, int]:
        """Versions of the engine that gave the labels with these settings, and how many labels each."""
        with _readable_errors(self.path):
            rows = self._connection.execute(
                "SELECT version, COUNT(*) FROM entries WHERE settings_key = ? AND reason IS NULL "
                "GROUP BY version ORDER BY version",
                (settings_key,),
            ).fetchall()
        return dict(rows)

    def spent(self) -> list[Spent]:
        """What each reference cost, in the order of their first entries."""
        with _readable_errors(self.path):
            rows = self._connection.execute(
                "SELECT settings_key, engine, version, settings, reason, COUNT(*) AS n, "
                "TOTAL(wall_s) AS wall, TOTAL(cpu_s) AS cpu, MIN(id) AS first FROM entries "
                "GROUP BY settings_key, engine, version, reason ORDER BY first"
            ).fetchall()
        groups: dict[tuple[str, str, str], list[sqlite3.Row]] = {}
        for row in rows:
            groups.setdefault((row["settings_key"], row["engine"], row["version"]), []).append(row)
        return [
            Spent(
                *key,
                settings=json.loads(group[0]["settings"]),
                labels=sum(row["n"] for row in group if row["reason"] is None),
                failures=sum(row["n"] for row in group if row["reason"] is not None),
                reasons={row["reason"]: row["n"] for row in group if row["reason"] is not None},
                wall_s=sum(row["wall"] for row in group),
                cpu_s=sum(row["cpu"] for row in group),
            )
            for key, group in groups.items()
        ]

    def merge(self, other: "LabelStore") -> Merged:
        """Take over everything that ``other`` holds, whole or not at all: labels before failures, ours before theirs."""
        counted = dict.fromkeys(("labels", "failures", "replaced", "known"), 0)
        different = []
        with _readable_errors(self.path):
            theirs = other._connection.execute("SELECT * FROM entries ORDER BY id").fetchall()
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                for row in theirs:
                    ours = self._connection.execute(
                        "SELECT reason, energy FROM entries WHERE key = ?", (row["key"],)
                    ).fetchone()
                    if ours is None:
                        counted["labels" if row["reason"] is None else "failures"] += 1
                    elif ours["reason"] is not None and row["reason"] is None:
                        counted["replaced"] += 1
                    else:
                        counted["known"] += 1
                        if row["reason"] is None and abs(row["energy"] - ours["energy"]) > SAME_ENERGY:
                            different.append(row["key"])
                        continue
                    self._connection.execute(_PUT, {name: row[name] for name in COLUMNS})
            except BaseException:
                _roll_back(self._connection)
                raise
            self._connection.execute("COMMIT")
        return Merged(**counted, different=tuple(different))

    def close(self) -> None:
        """Close the file; the last one to close it tidies the write-ahead log into it."""
        self._connection.close()

    def __enter__(self) -> "LabelStore":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def store_files(path: Path) -> dict[str, Path]:
    """The files of a store, by what they are: nothing else may be written there."""
    path = path.resolve()
    companions = {"log": "-wal", "index": "-shm", "file of claims": SUFFIX}
    return {
        "label store": path,
        **{f"label store's {what}": path.with_name(path.name + end) for what, end in companions.items()},
    }


def read_store(path: str | Path) -> LabelStore:
    """Open a store that is there, to read it; one on a disk that can't be written too. Raises InputError as ``open_store``."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"there is no label store at {path}; expected a file that jaxft made")
    if os.access(path, os.W_OK) and os.access(path.parent, os.W_OK) and path.stat().st_size:
        return open_store(path)
    # someone else may be writing it, and then its newest entries are in the log; without a log nothing may be made beside it
    log = path.resolve().with_name(path.resolve().name + "-wal")
    how = "mode=ro" if log.exists() else "immutable=1"
    with _readable_errors(path):
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?{how}", uri=True, isolation_level=None)
    try:
        with _readable_errors(path):
            connection.row_factory = sqlite3.Row
            version = _version_of(connection, path)
    except BaseException:
        connection.close()
        raise
    if version < VERSION:
        connection.close()
        raise InputError(
            f"{path} has {FORMAT} version {version} and can't be written; copy it, and it will be brought up to date"
        )
    return LabelStore(connection, path)


def open_store(path: str | Path) -> LabelStore:
    """Open the store at ``path``; make an empty one where there is none.

    Raises InputError where the file is something else, damaged, or of a newer format, and where it can't be made.
    """
    path = Path(path)
    if not path.exists():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"the folder of the label store {path} can't be made ({error.strerror})") from error
    with _readable_errors(path):
        # isolation_level None: we say ourselves where a transaction begins
        connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT, isolation_level=None)
    try:
        with _readable_errors(path):
            connection.row_factory = sqlite3.Row
            _use_write_ahead_log(connection)
            connection.execute("PRAGMA synchronous = FULL")  # on the disk when put() returns
            _prepare(connection, path)
    except BaseException:
        connection.close()
        raise
    return LabelStore(connection, path)


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Check the format, or lay it out in an empty file; one transaction, so that two who start at once agree."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if not tables:
            for statement in _SCHEMA.split(";"):
                connection.execute(statement)
            connection.execute("INSERT INTO format VALUES (?, ?)", (FORMAT, VERSION))
        version = _version_of(connection, path)
        for newer in range(version + 1, VERSION + 1):
            for statement in _MIGRATIONS[newer]:
                connection.execute(statement)
        if version < VERSION:
            connection.execute("UPDATE format SET version = ?", (VERSION,))
    except BaseException:
        _roll_back(connection)
        raise
    connection.execute("COMMIT")


def _version_of(connection: sqlite3.Connection, path: Path) -> int:
    """The format's version; InputError for an SQLite file that is no label store, or a newer one."""
    columns = {
        table: {row[1] for row in connection.execute(f"PRAGMA table_info({table})")} for table in ("format", "entries")
    }
    marked = {"name", "version"} <= columns["format"] and "key" in columns["entries"]
    marks = connection.execute("SELECT name, version FROM format").fetchall() if marked else []
    if len(marks) != 1 or not isinstance(marks[0][1], int):
        raise InputError(f"{path} is an SQLite file, but no label store; expected one that jaxft made")
    name, version = marks[0]
    if name != FORMAT:
        raise InputError(f"{path} has format {name!r}, expected {FORMAT!r}")
    if version > VERSION:
        raise InputError(f"{path} has {FORMAT} version {version}, but this jaxft reads up to {VERSION}; update jaxft")
    return int(version)


def _roll_back(connection: sqlite3.Connection) -> None:
    """Undo the transaction, unless SQLite has done so itself (it does when the disk is full)."""
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def _use_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Switch to the write-ahead log. SQLite does not wait for other openers here by itself, so we do."""
    deadline = time.monotonic() + BUSY_TIMEOUT
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if _code(error) not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


_MEANINGS = {
    sqlite3.SQLITE_FULL: "there is no space left on the disk; make room and run again, nothing that was stored is lost",
    sqlite3.SQLITE_IOERR: "the disk could not be read or written; check it (and its space), then run again",
    sqlite3.SQLITE_READONLY: "it can't be written; check its permissions",
    sqlite3.SQLITE_CANTOPEN: "it can't be opened; check the folder and its permissions",
    sqlite3.SQLITE_NOTADB: "it is no label store; expected a file that jaxft made",
    sqlite3.SQLITE_CORRUPT: "it is damaged; restore a copy, or move it away to start a new one",
    sqlite3.SQLITE_BUSY: f"another process has kept it locked for {BUSY_TIMEOUT:g} s; end that process and run again",
}


@contextmanager
def _readable_errors(path: Path) -> Iterator[None]:
    """Turn what a disk or a user can do to a file into InputError; our own mistakes in SQL stay what they are."""
    try:
        yield
    except sqlite3.Error as error:
        meaning = _MEANINGS.get(_code(error))
        if meaning is None:
            raise
        raise InputError(f"label store {path}: {meaning} ({error})") from error


def _code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
