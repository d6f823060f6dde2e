"""Engine: what a quantum program must offer to be a reference, and the table of those that do.

One file per engine; it is imported when it is named, so that an engine that is not installed costs nothing. A new
engine is a new file with an ``ENGINE`` and a line in the table.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from jaxtyping import Float

from jaxft.errors import InputError, nearest
from jaxft.labels.label import Reason

TABLE = {
    name: f"jaxft.labels.{name}"
    for name in ("tblite", "pyscf", "gpaw", "cp2k", "espresso", "vasp", "aims", "orca", "teacher")
}
"""Name in the configuration → module. A name with a colon is a calculator of the user's, see ``ase_calculator.py``."""


class NoLabelError(Exception):
    """This structure can't get a label from this engine; raised by engines, recorded as a Failure."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = " ".join(detail.split())


@dataclass(frozen=True, eq=False)
class Computed:
    """What an engine computes; the fields are those of ``Label``. version: where only the output tells it."""

    energy: float
    forces: Float[np.ndarray, "atoms 3"]
    stress: Float[np.ndarray, "3 3"] | None
    n_unpaired: float | None = None
    moments: Float[np.ndarray, "atoms"] | None = None
    scf_steps: int | None = None
    version: str | None = None


@dataclass(frozen=True)
class Recipe:
    """One rung of an engine's ladder: another way to the same label, for structures that did not converge before.

    settings replace those of the same name. They may change how the SCF gets there (mixing, start, number of steps) and
    never where it arrives: with another smearing or grid it would be another reference.
    """

    name: str
    settings: Mapping[str, Any]


def always_ready(settings: Mapping[str, Any]) -> None:
    """Nothing to try: for engines whose ``version`` has already loaded all they need."""


def no_recipes(settings: Mapping[str, Any]) -> Sequence[Recipe]:
    """The ladder of an engine that has none."""
    return ()


@dataclass(frozen=True)
class Engine:
    """A quantum program as functions of its settings.

    complete  (given settings) → all settings, defaults written out; InputError for what it does not know
    version   (settings) → version, or None where only a calculation tells it; InputError that says how to install it
              where it is missing
    check     (atoms, settings, charge, multiplicity); NoLabelError for what it can't or wouldn't do rightly; cheap
    compute   the same, and an empty folder for its files → Computed; NoLabelError where the calculation fails;
              ``check`` has passed
    identity  (settings) → what a label depends on, where that is not the settings themselves (a file's content, not its
              name)
    ready     (settings); InputError for what only trying shows: a program or a data file that is not there
    recipes   (settings) → its ladder, without the settings themselves
    takes     which of charge and multiplicity it can be asked for; what else is asked would be ignored

    charge is a whole number in e; multiplicity a whole number 2S+1, or None where nobody gave it.
    """

    complete: Callable[[Mapping[str, Any]], dict[str, Any]]
    version: Callable[[Mapping[str, Any]], str | None]
    check: Callable[[Atoms, Mapping[str, Any], int, int | None], None]
    compute: Callable[[Atoms, Mapping[str, Any], int, int | None, Path], Computed]
    identity: Callable[[Mapping[str, Any]], dict[str, Any]] = dict
    ready: Callable[[Mapping[str, Any]], None] = always_ready
    recipes: Callable[[Mapping[str, Any]], Sequence[Recipe]] = no_recipes
    takes: frozenset[str] = frozenset({"charge", "multiplicity"})


def find_engine(name: str) -> Engine:
    """The engine of that name; InputError for one that there is not."""
    if ":" in name:
        from jaxft.labels.ase_calculator import engine_of

        return engine_of(name)
    if name not in TABLE:
        raise InputError(
            f"unknown reference engine {name!r}; expected one of {', '.join(TABLE)}, or module:function of yours that "
            f"returns an ASE calculator{nearest(name, list(TABLE))}"
        )
    engine: Engine = import_module(TABLE[name]).ENGINE
    return engine


def complete_settings(engine: str, given: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """``defaults`` overridden by ``given``, each with the type of its default (whole numbers pass for reals).

    Raises InputError for a setting that is not among the defaults, or of another type.
    """
    settings = dict(defaults)
    for key, value in given.items():
        if key not in defaults:
            raise InputError(
                f"{engine} has no setting {key!r}; expected one of {', '.join(defaults)}"
                f"{nearest(str(key), list(defaults))}"
            )
        wanted = type(defaults[key])
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if wanted is float and number and np.isfinite(value):
            settings[key] = float(value)
        elif wanted is not float and type(value) is wanted:
            settings[key] = value
        else:
            raise InputError(
                f"{engine} setting {key} is {value!r}; expected a value like its default {defaults[key]!r} "
                f"({wanted.__name__})"
            )
    return settings
