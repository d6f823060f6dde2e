"""The teacher engine: any potential that jaxft loads, as a reference.

For trying a whole study without quantum chemistry, and for tests of a method where the truth is cheap and known. The
only file of this room that needs JAX, and only once it computes.
"""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ase import Atoms

import jaxft
from jaxft.errors import InputError
from jaxft.labels.engine import Computed, Engine, NoLabelError, complete_settings

if TYPE_CHECKING:
    from jaxft.potential.evaluate import Evaluator

DEFAULTS: dict[str, Any] = {
    "model": "",  # what jaxft.load takes; must be given
    "head": "",  # of a potential with several; empty for its first
    "dtype": "float32",
}
DTYPES = ("float32", "float64")


def complete(given: Mapping[str, Any]) -> dict[str, Any]:
    """All settings; InputError for an unknown one, a missing model, or a dtype that there is not."""
    settings = complete_settings("teacher", given, DEFAULTS)
    if not settings["model"]:
        raise InputError(
            "the teacher engine needs a model; set reference.settings.model to anything that jaxft.load takes"
        )
    if settings["dtype"] not in DTYPES:
        raise InputError(f"teacher setting dtype is {settings['dtype']!r}; expected {' or '.join(DTYPES)}")
    return settings


def version(settings: Mapping[str, Any]) -> str:
    """Version of jaxft, whose network evaluates the weights."""
    return jaxft.__version__


def identity(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The weights' content in place of their name: a model trained again in the same folder is another reference."""
    from jaxft.potential.zoo import sha256

    hashes = [sha256(path) for path in _files(settings["model"])]
    return {"weights_sha256": hashes, "head": settings["head"], "dtype": settings["dtype"]}


def check(atoms: Atoms, settings: Mapping[str, Any], charge: int, multiplicity: int | None) -> None:
    """Nothing to say before the model is loaded; it knows no electrons, so charge and multiplicity change nothing."""


def compute(atoms: Atoms, settings: Mapping[str, Any], charge: int, multiplicity: int | None, folder: Path) -> Computed:
    """Energy, forces and stress of the potential; NoLabelError for elements that it does not know."""
    evaluator = _evaluator(settings["model"], settings["head"], settings["dtype"])
    unknown = sorted(set(atoms.symbols) - set(evaluator.potential.elements))
    if unknown:
        raise NoLabelError("not supported", f"the teacher {settings['model']} does not know {', '.join(unknown)}")
    evaluation = evaluator(atoms)
    return Computed(energy=evaluation.energy, forces=evaluation.forces, stress=evaluation.stress)


@lru_cache(maxsize=1)
def _evaluator(model: str, head: str, dtype: str) -> "Evaluator":
    from jaxft.potential.evaluate import Evaluator

    return Evaluator(jaxft.load(model, head=head or None), dtype=dtype)


def _files(model: str) -> list[Path]:
    from jaxft.potential.zoo import ZOO, fetch

    path = fetch(model) if model in ZOO else Path(model)
    if path.is_dir():
        return sorted(child for child in path.iterdir() if child.suffix in (".json", ".safetensors"))
    if not path.is_file():
        raise InputError(
            f"no potential {model!r} for the teacher engine; expected a zoo name, a file or a folder that jaxft saved"
        )
    return [path]


ENGINE = Engine(complete, version, check, compute, identity)
