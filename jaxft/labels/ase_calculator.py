"""Any ASE calculator as an engine: ``module:function`` of the user's, called with the settings, returns the calculator.

A new calculator is made for every structure. What it raises becomes a failure; what it does not say (whether it
converged, which spin it reached) can't be checked here, which is why the ready engines have files of their own.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import voigt_6_to_full_3x3_stress

from jaxft.errors import InputError
from jaxft.labels.engine import Computed, Engine, NoLabelError
from jaxft.labels.label import Reason

CALCULATION_ERRORS = (RuntimeError, ValueError, ArithmeticError, LookupError, OSError, AssertionError)
"""What a calculation that goes wrong may raise (ASE's own errors are RuntimeErrors).

Anything else, such as a NameError, is a bug in the calculator and stops the run.
"""


def engine_of(name: str) -> Engine:
    """The engine of ``module:function``; InputError where that can't be imported or called."""
    function = _function(name)

    def version(settings: Mapping[str, Any]) -> str:
        module = import_module(name.partition(":")[0])
        return str(getattr(module, "__version__", "unversioned"))

    def compute(atoms: Atoms, settings: Mapping[str, Any], charge: int, multiplicity: int | None) -> Computed:
        return calculate(atoms, function(**settings))

    return Engine(dict, version, _check_nothing, compute)


def calculate(atoms: Atoms, calculator: Calculator) -> Computed:
    """Everything that is needed in one calculation, so that no calculator runs twice. NoLabelError where it fails.

    The energy is ``free_energy`` where the calculator has one: with smearing, that is the one that the forces belong
    to.
    """
    wanted = {"energy", "forces", "free_energy"} | ({"stress"} if atoms.pbc.all() else set())
    properties = [name for name in calculator.implemented_properties if name in wanted]
    atoms.calc = calculator
    try:
        calculator.calculate(atoms, properties, all_changes)
    except CALCULATION_ERRORS as error:
        reason: Reason = "not converged" if "converge" in f"{type(error).__name__} {error}".lower() else "engine failed"
        raise NoLabelError(reason, f"{type(error).__name__}: {error}") from error
    results = calculator.results
    if "forces" not in results or "energy" not in results:
        raise NoLabelError(
            "engine failed", f"{type(calculator).__name__} gave {sorted(results)}, but no energy with forces"
        )
    stress = results.get("stress") if atoms.pbc.all() else None
    moment = results.get("magmom")
    moments = results.get("magmoms")
    return Computed(
        energy=float(results.get("free_energy", results["energy"])),
        forces=np.array(results["forces"], dtype=np.float64),
        stress=None if stress is None else np.asarray(_full(stress)),
        n_unpaired=None if moment is None else float(moment),
        moments=None if moments is None else np.array(moments, dtype=np.float64),
    )


def _full(stress: Any) -> Any:
    return stress if np.shape(stress) == (3, 3) else voigt_6_to_full_3x3_stress(stress)


def _check_nothing(atoms: Atoms, settings: Mapping[str, Any], charge: int, multiplicity: int | None) -> None:
    """A foreign calculator says by itself what it can't do."""


def _function(name: str) -> Callable[..., Calculator]:
    module_name, _, function_name = name.partition(":")
    try:
        function = getattr(import_module(module_name), function_name)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(f"reference engine {name!r} can't be imported ({error}); expected module:function") from error
    if not callable(function):
        raise InputError(f"reference engine {name!r} is no function; expected one that returns an ASE calculator")
    return function
