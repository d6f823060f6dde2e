"""Reference: which calculation gives the labels, and that calculation for one structure.

``compute`` runs in workers: it takes plain data, returns a Label or a Failure, and raises only for mistakes in the
settings or bugs, never because of a structure.
"""

import math
import os
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

import numpy as np
from ase import Atoms
from threadpoolctl import threadpool_limits

from jaxft.errors import InputError
from jaxft.labels.engine import Computed, NoLabelError, find_engine
from jaxft.labels.label import Cost, Entry, Failure, Label, Provenance
from jaxft.structures.checks import check_structure


@dataclass(frozen=True)
class ReferenceSettings:
    """The reference as a configuration names it.

    engine                 a name of the engine table, or module:function that returns an ASE calculator
    settings               the engine's own, plain JSON values; what is left out has the engine's default
    charge, multiplicity   e and 2S+1 of every structure that does not say its own (``atoms.info["charge"]``,
                           ``atoms.info["multiplicity"]``); None: neutral, lowest spin (refused for d and f elements).
                           Initial magnetic moments and charges of the atoms are not read
    threads                of one calculation; no part of what a label is
    """

    engine: str = "tblite"
    settings: Mapping[str, Any] = field(default_factory=dict)
    charge: int | None = None
    multiplicity: int | None = None
    threads: int = 1


def check_reference(reference: ReferenceSettings, atoms: Atoms | None = None) -> None:
    """Raise InputError for anything wrong with the reference, and with ``atoms`` under it, before a label is paid.

    Unknown engine, engine not installed, unknown setting or value; with ``atoms``: everything that would make its label
    a Failure without a calculation.
    """
    engine = find_engine(reference.engine)
    settings = engine.complete(reference.settings)
    engine.version(settings)
    engine.identity(settings)
    if reference.threads < 1:
        raise InputError(f"reference threads is {reference.threads}; expected at least 1")
    for name in ("charge", "multiplicity"):
        value = getattr(reference, name)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
            raise InputError(f"reference {name} is {value!r}; expected a whole number")
    if atoms is not None:
        check_structure(atoms)
        try:
            engine.check(atoms, settings, *_whole(*asked_state(atoms, reference)))
        except NoLabelError as error:
            raise InputError(error.detail) from error


def asked_state(atoms: Atoms, reference: ReferenceSettings) -> tuple[float, float | None]:
    """(charge, multiplicity) asked for: the structure's own before the reference's; charge 0 where nobody says.

    Not yet checked for being whole numbers. Raises InputError where the structure's own is no number.
    """
    values: dict[str, float | None] = {}
    for name in ("charge", "multiplicity"):
        value = atoms.info.get(name, getattr(reference, name))
        if value is not None and not (isinstance(value, Real) and math.isfinite(value)):
            raise InputError(f"a structure has {name} {value!r} in its info; expected a whole number")
        values[name] = None if value is None else float(value)
    return values["charge"] or 0.0, values["multiplicity"]


def compute(atoms: Atoms, reference: ReferenceSettings) -> Entry:
    """Label one structure: a Label, finite and converged as far as the engine tells, or a Failure with its reason.

    Raises InputError for mistakes in ``reference`` (``check_reference`` finds them beforehand).
    """
    start = _clocks()
    provenance = provenance_of(atoms, reference)
    try:
        computed = _compute(atoms, reference)
    except NoLabelError as error:
        return Failure(error.reason, error.detail, provenance, _cost_since(start))
    return Label(
        energy=computed.energy,
        forces=computed.forces,
        stress=computed.stress,
        provenance=provenance,
        cost=_cost_since(start),
        n_unpaired=computed.n_unpaired,
        moments=computed.moments,
        scf_steps=computed.scf_steps,
    )


def provenance_of(atoms: Atoms, reference: ReferenceSettings) -> Provenance:
    """Where the entry of ``atoms`` under ``reference`` comes from, computed or not."""
    engine = find_engine(reference.engine)
    settings = engine.complete(reference.settings)
    charge, multiplicity = asked_state(atoms, reference)
    return Provenance(reference.engine, engine.version(settings), engine.identity(settings), charge, multiplicity)


def _compute(atoms: Atoms, reference: ReferenceSettings) -> Computed:
    engine = find_engine(reference.engine)
    settings = engine.complete(reference.settings)
    try:
        check_structure(atoms)
    except InputError as error:
        raise NoLabelError("bad structure", str(error)) from error
    charge, multiplicity = _whole(*asked_state(atoms, reference))
    engine.check(atoms, settings, charge, multiplicity)
    # Here and not only in the workers: sums in another order are other numbers, so a label must not depend on where it
    # ran.
    with threadpool_limits(limits=reference.threads):
        computed = engine.compute(atoms, settings, charge, multiplicity)
    for name in ("energy", "forces", "stress"):
        value = getattr(computed, name)
        if value is not None and not np.isfinite(value).all():
            raise NoLabelError("not finite", f"{reference.engine} gave {name} that is not finite and no error")
    return computed


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
