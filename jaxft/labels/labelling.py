"""Labelling: many structures in, their labels out, each paid for once, each stored the moment it is there.

The store is asked first; what it lacks is computed, identical structures once, and not at all where another process is
computing it: that one's label is waited for. What comes back is what the store holds, so that a run and its repetition
see the same bytes.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from ase import Atoms

from jaxft.errors import InputError
from jaxft.jobs.executor import Executor, Lost, TimedOut, WorkerDied
from jaxft.labels.claims import open_claims
from jaxft.labels.disk_space import require_space
from jaxft.labels.engine import find_engine
from jaxft.labels.key import label_key, settings_key
from jaxft.labels.label import Cost, Entry, Failure, Label, Provenance
from jaxft.labels.reference import ReferenceSettings, check_reference, compute, provenance_of
from jaxft.labels.scratch import left_behind
from jaxft.labels.store import LabelStore

ROOM = 1_000_000
"""Bytes on the store's disk without which no label is begun: a hundred of a thousand atoms."""

POLL_S = 0.5
"""How often the store is asked for what another process computes."""


@dataclass(frozen=True)
class Progress:
    """How far a labelling is, counted in distinct structures.

    total    all of them
    found    in the store already, or put there since by another process
    done     found or computed here
    failed   those of ``done`` that have no label
    waiting  of the others, those that another process is computing
    """

    total: int
    found: int
    done: int
    failed: int
    waiting: int = 0

    @property
    def note(self) -> str:
        """What a progress bar says beside the numbers: failures, and what is waited for."""
        waiting = f"waiting for {self.waiting} that another process computes" if self.waiting else ""
        return ", ".join(filter(None, [f"{self.failed} failed" if self.failed else "", waiting]))


def label_structures(
    structures: Sequence[Atoms],
    reference: ReferenceSettings,
    store: LabelStore,
    executor: Executor,
    on_progress: Callable[[Progress], None] | None = None,
    *,
    retry_failed: bool = False,
    accept_versions: Sequence[str] = (),
) -> list[Entry]:
    """Labels or failures of ``structures``, in their order.

    A failure in the store counts as an answer unless ``retry_failed``. on_progress: called once before the first
    calculation and after each. accept_versions: other versions of the engine whose labels the store may hold for these
    settings. Raises InputError before anything is computed: for mistakes in the reference, for a structure's charge
    that is no number, for labels of another version; and while it goes on, where the store can't be written. Whatever
    ends it, a second call with the same arguments computes only what was not stored yet.
    """
    check_reference(reference, here=executor.here)
    settings_hash = settings_key(reference)
    versions = _accepted_versions(reference, store, settings_hash, accept_versions, executor.here)
    keys = [label_key(atoms, reference, settings_hash) for atoms in structures]
    distinct: dict[str, Atoms] = {}
    for key, atoms in zip(keys, structures, strict=True):
        distinct.setdefault(key, _bare(atoms))
    ledger = _Ledger(distinct, store, versions, retry_failed, on_progress or (lambda _: None))
    ledger.look(distinct)
    ledger.report()

    def keep(tasks: Sequence[tuple[str, Atoms]], index: int, outcome: Entry | Lost) -> None:
        key, _ = tasks[index]
        if isinstance(outcome, WorkerDied | TimedOut):
            files = left_behind(reference.scratch, _scratch_name(key)) if executor.here else None
            outcome = _lost(provenance_of(distinct[key], reference, here=executor.here), outcome, files)
        store.put(key, settings_hash, distinct[key], outcome)
        claims.release(key)
        ledger.enter(key, outcome, here=True)
        ledger.report()

    if ledger.missing():
        folder, what = store.path.resolve().parent, "there is no space left on the disk for more labels"
        require_space(folder, ROOM, f"label store {store.path}: {what}")
    with open_claims(store.path) as claims:
        while missing := ledger.missing():
            claimed = set(claims.take(missing))
            ledger.look(claimed)  # another process may have stored it before we claimed it
            tasks = [(key, distinct[key]) for key in ledger.missing() if key in claimed]
            executor.run(partial(_compute, reference=reference), tasks, partial(keep, tasks))
            if waiting := ledger.missing():
                ledger.report(waiting=len(waiting))
                time.sleep(POLL_S)
                ledger.look(waiting)
                ledger.report(waiting=len(ledger.missing()))
    stored = {key: store.get(key) for key in distinct}
    return [_present(stored[key]) for key in keys]


@dataclass
class _Ledger:
    """What of one labelling is done, and who did it."""

    distinct: Mapping[str, Atoms]
    store: LabelStore
    versions: set[str]
    retry_failed: bool
    on_progress: Callable[[Progress], None]
    found: set[str] = field(default_factory=set)
    computed: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)

    def missing(self) -> list[str]:
        """Keys without an answer, in the order of the structures."""
        return [key for key in self.distinct if key not in self.found and key not in self.computed]

    def look(self, keys: Iterable[str]) -> None:
        """Enter what the store answers."""
        for key in keys:
            entry = self.store.get(key)
            if entry is not None and not (self.retry_failed and isinstance(entry, Failure)):
                self.enter(key, entry, here=False)

    def enter(self, key: str, entry: Entry, here: bool) -> None:
        """Note an answer, which is in the store. InputError for a label of a version that nobody accepted."""
        if isinstance(entry, Label):
            _check_version(entry.provenance, self.versions, self.store)
        (self.computed if here else self.found).add(key)
        if isinstance(entry, Failure):
            self.failed.add(key)

    def report(self, waiting: int = 0) -> None:
        """Say how far it is."""
        done = len(self.found) + len(self.computed)
        self.on_progress(Progress(len(self.distinct), len(self.found), done, len(self.failed), waiting))


def _compute(task: tuple[str, Atoms], reference: ReferenceSettings) -> Entry:
    key, atoms = task
    return compute(atoms, reference, name=_scratch_name(key))


def _scratch_name(key: str) -> str:
    return key[:12]


def _accepted_versions(
    reference: ReferenceSettings, store: LabelStore, settings_hash: str, accept_versions: Sequence[str], here: bool
) -> set[str]:
    """Versions that new labels may come from; all may (an empty set) where none is known yet.

    Raises InputError where the store holds labels of a version that is neither the one here nor accepted.
    """
    engine = find_engine(reference.engine)
    current = engine.version(engine.complete(reference.settings)) if here else None
    held = store.versions(settings_hash)
    if current is not None:
        others = {v: n for v, n in held.items() if v != current and v not in accept_versions}
        if others:
            raise InputError(
                f"label store {store.path} holds labels of {reference.engine} with these settings {_counts(others)}, but "
                f"this is version {current}; set labels.accept_versions to {sorted(others)} to use them together, or take "
                "another store"
            )
        return {current, *accept_versions}
    unsaid = {v: n for v, n in held.items() if v not in accept_versions}
    if len(unsaid) > (0 if accept_versions else 1):
        raise InputError(
            f"label store {store.path} holds labels of {reference.engine} with these settings {_counts(unsaid)}; set "
            f"labels.accept_versions to {sorted(held)} to use them together, or take another store"
        )
    return set(accept_versions or held)


def _counts(versions: Mapping[str, int]) -> str:
    return ", ".join(f"{count} by version {version}" for version, count in versions.items())


def _check_version(provenance: Provenance, versions: set[str], store: LabelStore) -> None:
    """InputError for a version that is not among those that may be; where none is known yet, it becomes the one."""
    if not versions:
        versions.add(provenance.version)
    elif provenance.version not in versions:
        raise InputError(
            f"{provenance.engine} is version {provenance.version} where it computes, but label store {store.path} goes "
            f"with {', '.join(sorted(versions))}; set labels.accept_versions to {sorted({provenance.version, *versions})} "
            "to use them together, or take another store"
        )


def _bare(atoms: Atoms) -> Atoms:
    """The structure, and the charge and multiplicity it asks for; nothing else that the atoms carry goes to workers."""
    bare = Atoms(numbers=atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    bare.info = {name: atoms.info[name] for name in ("charge", "multiplicity") if name in atoms.info}
    return bare


def _lost(provenance: Provenance, outcome: Lost, files: str | None) -> Failure:
    if isinstance(outcome, TimedOut):
        return Failure(
            "timed out",
            f"not done after {outcome.seconds:g} s (labels.time_limit_s), and ended",
            provenance,
            Cost(wall_s=outcome.seconds, cpu_s=None, host=None),
            files,
        )
    return Failure(
        "worker died",
        f"the calculation killed {outcome.attempts} workers (out of memory, or a crash in {provenance.engine})",
        provenance,
        Cost(wall_s=None, cpu_s=None, host=None),
        files,
    )


def _present(entry: Entry | None) -> Entry:
    assert entry is not None, "an entry that was just stored is gone"
    return entry
