"""Reference: which calculation gives the labels, and that calculation for one structure.

``compute`` runs in workers: it takes plain data, returns a Label or a Failure, and raises only for mistakes in the
settings or bugs, never because of a structure.
"""

import math
import os
import platform
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers
from threadpoolctl import threadpool_limits

from jaxft.errors import InputError, nearest
from jaxft.labels.disk_space import require_space
from jaxft.labels.electrons import check_charge
from jaxft.labels.engine import Computed, Engine, NoLabelError, Recipe, find_engine
from jaxft.labels.label import Cost, Entry, Failure, Label, Provenance
from jaxft.labels.scratch import scratch_folder
from jaxft.structures.checks import check_structure

UNKNOWN_VERSION = "unknown"

ROOM = 100_000
"""Bytes that must be left on the disk of the scratch files for a failure to be the structure's."""


@dataclass(frozen=True)
class ReferenceSettings:
    """The reference as a configuration names it.

    engine                 a name of the engine table, or module:function that returns an ASE calculator
    settings               the engine's own, plain JSON values; what is left out has the engine's default
    charge, multiplicity   e and 2S+1 of every structure that does not say its own (``atoms.info["charge"]``,
                           ``atoms.info["multiplicity"]``); None: neutral, lowest spin (refused for d and f elements)
    moments                unpaired electrons by element, {"Co": 3}: where the SCF starts, all up; where nobody gives a
                           multiplicity it is their sum over the atoms + 1. Initial magnetic moments and charges that
                           the atoms themselves carry are not read
    threads                of one calculation; no part of what a label is
    retries                rungs of the engine's ladder to try where the SCF does not converge; no part of it either
    scratch                folder in which the calculations' own folders are made (None: the system's temporary folder)
    """

    engine: str = "tblite"
    settings: Mapping[str, Any] = field(default_factory=dict)
    charge: int | None = None
    multiplicity: int | None = None
    threads: int = 1
    moments: Mapping[str, float] | None = None
    retries: int = 2
    scratch: str | None = None


def check_reference(reference: ReferenceSettings, atoms: Atoms | None = None, *, here: bool = True) -> None:
    """Raise InputError for anything wrong with the reference, and with ``atoms`` under it, before a label is paid.

    Unknown engine, engine or program not installed, unknown setting or value; with ``atoms``: everything that would
    make its label a Failure without a calculation. here=False: labels are computed on other machines, so what is
    installed on this one is not asked.
    """
    engine = find_engine(reference.engine)
    settings = engine.complete(reference.settings)
    engine.identity(settings)
    if reference.threads < 1:
        raise InputError(f"reference threads is {reference.threads}; expected at least 1")
    if reference.retries < 0:
        raise InputError(f"labels.retries is {reference.retries}; expected 0 or more")
    for name in ("charge", "multiplicity"):
        value = getattr(reference, name)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
            raise InputError(f"reference {name} is {value!r}; expected a whole number")
    if reference.multiplicity is not None and reference.multiplicity < 1:
        raise InputError(f"reference multiplicity is {reference.multiplicity}; expected 2S+1: 1, 2, 3 and so on")
    _check_moments(reference.moments or {})
    asked = {"charge": reference.charge, "multiplicity": reference.multiplicity or reference.moments}
    for name, value in asked.items():
        if value and name not in engine.takes:
            raise InputError(
                f"reference {name} {value} is asked for, but {reference.engine} takes no {name} and would ignore it; "
                f"give the function an argument {name}, or ask for none"
            )
    if here:
        engine.version(settings)
        engine.ready(settings)
    if atoms is not None:
        check_structure(atoms)
        try:
            charge, multiplicity = _whole(*asked_state(atoms, reference))
            check_charge(atoms.numbers, charge)
            engine.check(_started(atoms, reference), settings, charge, multiplicity)
        except NoLabelError as error:
            raise InputError(error.detail) from error


def asked_state(atoms: Atoms, reference: ReferenceSettings) -> tuple[float, float | None]:
    """(charge, multiplicity) asked for: the structure's own before the reference's; charge 0 where nobody says.

    Not yet checked for being whole numbers. Raises InputError where the structure's own is no number.
    """
    values: dict[str, float | None] = {}
    for name in ("charge", "multiplicity"):
        value = atoms.info.get(name, getattr(reference, name))
        flag = isinstance(value, bool | np.bool_)
        if value is not None and (flag or not (isinstance(value, Real) and math.isfinite(value))):
            raise InputError(f"a structure has {name} {value!r} in its info; expected a whole number")
        values[name] = None if value is None else float(value)
    if values["multiplicity"] is None and reference.moments is not None:
        values["multiplicity"] = 1.0 + float(_moments(atoms, reference.moments).sum())
    return values["charge"] or 0.0, values["multiplicity"]


def identity_of(reference: ReferenceSettings) -> dict[str, Any]:
    """What the labels of a reference depend on, beside the structure with its charge and multiplicity."""
    engine = find_engine(reference.engine)
    identity = engine.identity(engine.complete(reference.settings))
    if reference.moments is not None:  # another start may end in another SCF state
        identity = {**identity, "moments": dict(reference.moments)}
    return identity


def compute(atoms: Atoms, reference: ReferenceSettings, name: str = "label") -> Entry:
    """Label one structure: a Label, finite and converged as far as the engine tells, or a Failure with its reason.

    Where the SCF does not converge, the engine's ladder is climbed up to ``reference.retries`` rungs. name: begins the
    name of the scratch folder. Raises InputError for mistakes in ``reference`` (``check_reference`` finds them
    beforehand), and where a program is missing or a disk full, which is no structure's fault.
    """
    start = _clocks()
    engine = find_engine(reference.engine)
    settings = engine.complete(reference.settings)
    provenance = provenance_of(atoms, reference)
    folder = None
    try:
        with scratch_folder(reference.scratch, name) as folder:
            computed, recipe = _climb(atoms, reference, engine, settings, folder)
    except NoLabelError as error:
        if folder is not None and folder.exists():
            # programs that can't write say many things, and none is the structure's fault
            what = f"there is no space left for scratch files in {folder.parent} (or set labels.scratch)"
            require_space(folder, ROOM, what)
        files = str(folder) if folder is not None and folder.exists() else None
        return Failure(error.reason, error.detail, provenance, _cost_since(start), files)
    return Label(
        energy=computed.energy,
        forces=computed.forces,
        stress=computed.stress,
        provenance=replace(provenance, version=computed.version or provenance.version),
        cost=_cost_since(start),
        n_unpaired=computed.n_unpaired,
        moments=computed.moments,
        scf_steps=computed.scf_steps,
        recipe=None if recipe is None else recipe.name,
    )


def provenance_of(atoms: Atoms, reference: ReferenceSettings, *, here: bool = True) -> Provenance:
    """Where the entry of ``atoms`` under ``reference`` comes from, computed or not; here: see ``check_reference``."""
    engine = find_engine(reference.engine)
    version = engine.version(engine.complete(reference.settings)) if here else None
    return Provenance(
        reference.engine, version or UNKNOWN_VERSION, identity_of(reference), *asked_state(atoms, reference)
    )


def _climb(
    atoms: Atoms, reference: ReferenceSettings, engine: Engine, settings: Mapping[str, Any], folder: Path
) -> tuple[Computed, Recipe | None]:
    """What the first rung that converges gives, and which it was; the first one's error where none does."""
    ladder: list[Recipe | None] = [None, *list(engine.recipes(settings))[: reference.retries]]
    first: NoLabelError | None = None
    for rung, recipe in enumerate(ladder):
        place = folder / str(rung)
        place.mkdir()
        changed = settings if recipe is None else {**settings, **recipe.settings}
        try:
            return _compute(atoms, reference, engine, changed, place), recipe
        except NoLabelError as error:
            with suppress(OSError):  # not empty: the program left something to look at
                place.rmdir()
            first = first or error
            if error.reason != "not converged":
                break
    assert first is not None
    tried = ", ".join(recipe.name for recipe in ladder[1 : rung + 1] if recipe is not None)
    raise NoLabelError(first.reason, f"{first.detail} (nor with {tried})") if tried else first


def _compute(
    atoms: Atoms, reference: ReferenceSettings, engine: Engine, settings: Mapping[str, Any], folder: Path
) -> Computed:
    try:
        check_structure(atoms)
    except InputError as error:
        raise NoLabelError("bad structure", str(error)) from error
    charge, multiplicity = _whole(*asked_state(atoms, reference))
    check_charge(atoms.numbers, charge)
    atoms = _started(atoms, reference)
    engine.check(atoms, settings, charge, multiplicity)
    # Here and not only in the workers: sums in another order are other numbers, so a label must not depend on where it
    # ran.
    with threadpool_limits(limits=reference.threads):
        computed = engine.compute(atoms, settings, charge, multiplicity, folder)
    shapes = {"energy": (), "forces": (len(atoms), 3), "stress": (3, 3)}
    for name, shape in shapes.items():
        value = getattr(computed, name)
        if value is None:
            continue
        if np.shape(value) != shape:
            raise NoLabelError("engine failed", f"{reference.engine} gave {name} of shape {np.shape(value)}")
        if not np.isfinite(value).all():
            raise NoLabelError("not finite", f"{reference.engine} gave {name} that is not finite and no error")
    return computed


def _started(atoms: Atoms, reference: ReferenceSettings) -> Atoms:
    """The structure with the reference's initial moments, and none of its own."""
    started = Atoms(numbers=atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    if reference.moments is not None:
        started.set_initial_magnetic_moments(_moments(atoms, reference.moments))
    return started


def _moments(atoms: Atoms, by_element: Mapping[str, float]) -> np.ndarray:
    return np.array([float(by_element.get(symbol, 0.0)) for symbol in atoms.get_chemical_symbols()])


def _check_moments(moments: Mapping[str, float]) -> None:
    for element, moment in moments.items():
        if element not in atomic_numbers or element == "X":
            raise InputError(
                f"reference.moments has {element!r}; expected element symbols{nearest(element, list(atomic_numbers))}"
            )
        if isinstance(moment, bool) or not isinstance(moment, int | float) or not 0.0 <= moment <= 8.0:
            raise InputError(
                f"reference.moments.{element} is {moment!r}; expected its number of unpaired electrons, 0 to 8 (all "
                "atoms point up)"
            )


def _whole(charge: float, multiplicity: float | None) -> tuple[int, int | None]:
    for name, value in (("charge", charge), ("multiplicity", multiplicity)):
        if value is not None and not float(value).is_integer():
            raise NoLabelError("electron count", f"{name} is {value}; expected a whole number")
    return int(charge), None if multiplicity is None else int(multiplicity)


def _clocks() -> tuple[float, float]:
    children = os.times()
    return time.perf_counter(), time.process_time() + children.children_user + children.children_system


def _cost_since(start: tuple[float, float]) -> Cost:
    wall, cpu = _clocks()
    return Cost(wall_s=wall - start[0], cpu_s=cpu - start[1], host=platform.node())
