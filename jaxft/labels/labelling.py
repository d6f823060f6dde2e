"""Labelling: many structures in, their labels out, each paid for once, each stored the moment it is there.

The store is asked first; what it lacks is computed, identical structures once. What comes back is what the store holds,
so that a run and its repetition see the same bytes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from ase import Atoms

from jaxft.errors import InputError
from jaxft.jobs.executor import Executor, Lost, TimedOut, WorkerDied
from jaxft.labels.engine import find_engine
from jaxft.labels.key import label_key, settings_key
from jaxft.labels.label import Cost, Entry, Failure, Label, Provenance
from jaxft.labels.reference import ReferenceSettings, check_reference, compute, provenance_of
from jaxft.labels.store import LabelStore


@dataclass(frozen=True)
class Progress:
    """How far a labelling is, counted in distinct structures.

    total   all of them
    found   already in the store when it began
    done    found or computed since
    failed  those of ``done`` that have no label
    """

    total: int
    found: int
    done: int
    failed: int


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
    found = {key: store.get(key) for key in distinct}
    answered = {
        key for key, entry in found.items() if entry is not None and not (retry_failed and isinstance(entry, Failure))
    }
    missing = [key for key in distinct if key not in answered]
    failed = {key for key in answered if isinstance(found[key], Failure)}
    done = set(answered)

    def report() -> None:
        if on_progress is not None:
            on_progress(Progress(len(distinct), len(answered), len(done), len(failed)))

    def keep(index: int, outcome: Entry | Lost) -> None:
        key = missing[index]
        if isinstance(outcome, WorkerDied | TimedOut):
            entry: Entry = _lost(provenance_of(distinct[key], reference, here=executor.here), outcome)
        else:
            entry = outcome
        store.put(key, settings_hash, distinct[key], entry)
        if isinstance(entry, Label):
            _check_version(entry.provenance, versions, store)
        done.add(key)
        if isinstance(entry, Failure):
            failed.add(key)
        report()

    report()
    executor.run(partial(_compute, reference=reference), [(key, distinct[key]) for key in missing], keep)
    stored = {key: store.get(key) for key in distinct}
    return [_present(stored[key]) for key in keys]


def _compute(task: tuple[str, Atoms], reference: ReferenceSettings) -> Entry:
    key, atoms = task
    return compute(atoms, reference, name=key[:12])


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
            counts = ", ".join(f"{count} by version {version}" for version, count in others.items())
            raise InputError(
                f"label store {store.path} holds labels of {reference.engine} with these settings {counts}, but this "
                f"is version {current}; set labels.accept_versions to {sorted(others)} to use them together, or take "
                "another store"
            )
        return {current, *accept_versions}
    return {*held, *accept_versions} if held else set()


def _check_version(provenance: Provenance, versions: set[str], store: LabelStore) -> None:
    """Stop at the first label of a version nobody accepted; it is stored, and the next run says the same at once."""
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


def _lost(provenance: Provenance, outcome: Lost) -> Failure:
    if isinstance(outcome, TimedOut):
        return Failure(
            "timed out",
            f"not done after {outcome.seconds:g} s (labels.time_limit_s), and ended",
            provenance,
            Cost(wall_s=outcome.seconds, cpu_s=None, host=None),
        )
    return Failure(
        "worker died",
        f"the calculation killed {outcome.attempts} workers (out of memory, or a crash in {provenance.engine})",
        provenance,
        Cost(wall_s=None, cpu_s=None, host=None),
    )


def _present(entry: Entry | None) -> Entry:
    assert entry is not None, "an entry that was just stored is gone"
    return entry
