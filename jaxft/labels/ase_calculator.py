"""Any ASE calculator as an engine: ``module:function`` of the user's, called with the settings, returns the calculator.

A new calculator is made for every structure. A function that takes ``charge``, ``multiplicity`` or ``directory`` is given
them. What its calculator raises becomes a failure; what it does not say (whether it converged, which spin it reached)
can't be checked here, which is why the ready engines have files of their own.
"""

import errno
import inspect
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import BaseCalculator, all_changes
from ase.stress import voigt_6_to_full_3x3_stress

from jaxft.errors import InputError, nearest
from jaxft.labels.electrons import unpaired_electrons
from jaxft.labels.engine import Computed, Engine, NoLabelError
from jaxft.labels.label import Reason

CALCULATION_ERRORS = (RuntimeError, ValueError, ArithmeticError, LookupError, OSError, AssertionError, MemoryError)
"""Python's own errors by which a library says that a calculation went wrong; so may any that it defines for itself.

Where our own code stands between (PySCF), the others, such as a NameError, are our bugs and stop the run. In a calculator of
someone else's, reading what a program left behind, any error may be the structure's.
"""

NOT_CONVERGED = re.compile(
    r"\b(?:not|never|no|without|cannot|fail\w*(?:\s+to)?|unable\s+to|\w+n't)\s+(?:\w+\s+){0,3}converg|\b(?:un|non-?)converg"
    r"|converg\w*\s+(?:\w+\s+){0,3}(?:not\b|fail|error)|Convergence\w*Error",
    re.IGNORECASE,
)
"""How errors say that an SCF did not converge. The word alone may be a folder's."""

NOBODYS_FAULT = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE})
"""Errors of the machine; they would strike every structure, so they stop the run instead of being recorded."""

GIVEN = ("charge", "multiplicity", "directory")
"""Arguments that a function gets from us and not from the settings."""


def engine_of(name: str) -> Engine:
    """The engine of ``module:function``; InputError where that can't be imported or called."""
    function = _function(name)
    takes = _arguments(function)

    def complete(given: Mapping[str, Any]) -> dict[str, Any]:
        _check_arguments(name, function, takes, given)
        return dict(given)

    def version(settings: Mapping[str, Any]) -> str:
        module = import_module(name.partition(":")[0])
        return str(getattr(module, "__version__", "unversioned"))

    def ready(settings: Mapping[str, Any]) -> None:
        try:
            text = json.dumps(settings, sort_keys=True)
        except TypeError as error:
            raise InputError(f"the settings of {name} can't be stored ({error}); expected plain JSON values") from error
        _make_once(name, text)

    def check(atoms: Atoms, settings: Mapping[str, Any], charge: int, multiplicity: int | None) -> None:
        for what, value, silent in (("charge", charge, 0), ("multiplicity", multiplicity, None)):
            if value != silent and what not in takes:
                raise NoLabelError(
                    "not supported",
                    f"{what} {value} is asked for, but {name} takes no {what} and would ignore it; give the function an "
                    f"argument {what}, or ask for none",
                )
        if multiplicity is not None:
            unpaired_electrons(atoms.numbers, int(atoms.numbers.sum()) - charge, multiplicity)

    def compute(
        atoms: Atoms, settings: Mapping[str, Any], charge: int, multiplicity: int | None, folder: Path
    ) -> Computed:
        given = {"charge": charge, "multiplicity": multiplicity, "directory": str(folder)}
        with failures_recorded(foreign=True):
            calculator = function(**settings, **{what: given[what] for what in GIVEN if what in takes})
        return calculate(atoms, calculator)

    return Engine(complete, version, check, compute, ready=ready, takes=frozenset(takes) & set(GIVEN))


def calculate(atoms: Atoms, calculator: BaseCalculator) -> Computed:
    """Everything that is needed in one calculation, so that no calculator runs twice. NoLabelError where it fails.

    The energy is ``free_energy`` where the calculator has one: with smearing, that is the one that the forces belong
    to. Raises OSError where the machine is to blame (``NOBODYS_FAULT``).
    """
    wanted = {"energy", "forces", "free_energy", "magmom", "magmoms"} | ({"stress"} if atoms.pbc.all() else set())
    properties = [name for name in calculator.implemented_properties if name in wanted]
    atoms.calc = calculator
    with failures_recorded(foreign=True):
        calculator.calculate(atoms, properties, all_changes)
        return _computed(atoms, type(calculator).__name__, calculator.results)


def _computed(atoms: Atoms, name: str, results: Mapping[str, Any]) -> Computed:
    """What a calculator left, as numbers of the right kind; whatever is raised here is its fault."""
    if results.get("forces") is None or results.get("energy") is None:
        raise NoLabelError("engine failed", f"{name} gave {sorted(results)}, but no energy with forces")
    free = results.get("free_energy")
    stress = results.get("stress") if atoms.pbc.all() else None
    moment = results.get("magmom")
    moments = results.get("magmoms")
    return Computed(
        energy=float(results["energy"] if free is None else free),
        forces=np.array(results["forces"], dtype=np.float64),
        stress=None if stress is None else np.array(_full(stress), dtype=np.float64),
        n_unpaired=None if moment is None else float(moment),
        moments=None if moments is None else np.array(moments, dtype=np.float64),
    )


@contextmanager
def failures_recorded(foreign: bool = False) -> Iterator[None]:
    """Turn an error of a calculation into NoLabelError; bugs, the machine's faults and a user's mistakes go on.

    foreign: all code inside is someone else's, so that every error is the calculation's, and leaving the program too.
    """
    try:
        yield
    except (NoLabelError, InputError):
        raise
    except SystemExit as error:
        if not foreign:
            raise
        raise NoLabelError("engine failed", f"it called sys.exit({error.code})") from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno in NOBODYS_FAULT:
            raise
        if not foreign and type(error).__module__ == "builtins" and not isinstance(error, CALCULATION_ERRORS):
            raise
        raise _failure_of(error) from error


def _failure_of(error: Exception) -> NoLabelError:
    try:
        said = str(error)
    except Exception:  # noqa: BLE001 - its own words are foreign code too
        said = "(it could not say what)"
    # what a program printed may be no text, which no store can hold
    text = f"{type(error).__name__}: {said}".encode("utf-8", "replace").decode("utf-8")
    reason: Reason = "not converged" if NOT_CONVERGED.search(text) else "engine failed"
    return NoLabelError(reason, text)


def _full(stress: Any) -> Any:
    return stress if np.shape(stress) == (3, 3) else voigt_6_to_full_3x3_stress(stress)


def _function(name: str) -> Callable[..., BaseCalculator]:
    module_name, _, function_name = name.partition(":")
    try:
        with failures_recorded(foreign=True):
            module = import_module(module_name)
        function = getattr(module, function_name)
    except (NoLabelError, AttributeError, OSError) as error:
        detail = error.detail if isinstance(error, NoLabelError) else str(error)
        raise InputError(
            f"reference engine {name!r} can't be imported ({detail}); expected module:function, of a module in this folder or "
            "on PYTHONPATH"
        ) from error
    if not callable(function):
        raise InputError(f"reference engine {name!r} is no function; expected one that returns an ASE calculator")
    return function


def _arguments(function: Callable[..., BaseCalculator]) -> dict[str, inspect.Parameter]:
    """Arguments that can be given by name; none where the function does not tell (compiled code)."""
    try:
        parameters = inspect.signature(function).parameters
    except (ValueError, TypeError):
        return {}
    by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {name: parameter for name, parameter in parameters.items() if parameter.kind in by_name}


def _check_arguments(
    name: str,
    function: Callable[..., BaseCalculator],
    takes: Mapping[str, inspect.Parameter],
    given: Mapping[str, Any],
) -> None:
    for key in GIVEN:
        if key in given:
            raise InputError(
                f"{name} gets its {key} from reference.{key} or from us; remove it from reference.settings"
            )
    known = [key for key in takes if key not in GIVEN]
    open_ended = not takes or any(p.kind is p.VAR_KEYWORD for p in inspect.signature(function).parameters.values())
    if open_ended:
        # names that only its default settings tell; it may know more, so only what looks misspelt is refused
        known += list(getattr(function, "default_parameters", None) or {})
    for key in given:
        if key in known or (open_ended and not nearest(str(key), known)):
            continue
        raise InputError(
            f"{name} has no setting {key!r}; expected one of {', '.join(known) or 'none'}{nearest(str(key), known)}"
        )
    for key in known:
        if key in takes and takes[key].default is inspect.Parameter.empty and key not in given:
            raise InputError(f"{name} needs a setting {key!r}; set reference.settings.{key}")


@lru_cache(maxsize=8)
def _make_once(name: str, settings_json: str) -> None:
    """Make the calculator, so that what its function does not accept is known before the first label; once in a process."""
    function, settings = _function(name), json.loads(settings_json)
    takes = _arguments(function)
    given = {"charge": 0, "multiplicity": None, "directory": "."}
    try:
        with failures_recorded(foreign=True):
            calculator = function(**settings, **{what: given[what] for what in GIVEN if what in takes})
    except (NoLabelError, OSError) as error:
        detail = error.detail if isinstance(error, NoLabelError) else str(error)
        raise InputError(f"{name} does not accept its settings {settings}: {detail}") from error
    if not isinstance(calculator, BaseCalculator):
        raise InputError(f"{name} returned {type(calculator).__name__}; expected an ASE calculator")
    close = getattr(calculator, "close", None)
    if callable(close):
        close()
