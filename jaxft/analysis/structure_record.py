"""``evaluation/structure.json``: pair distributions, coordination, bond lengths and diffusion of each model's own dynamics."""

from dataclasses import dataclass
from pathlib import Path

from jaxft.analysis.bond_lengths import BondLengths
from jaxft.analysis.coordination import Coordination
from jaxft.analysis.displacement import Displacement
from jaxft.analysis.rdf import Rdf
from jaxft.analysis.result_file import read_result, write_result

FORMAT, VERSION = "jaxft-structure", 1


@dataclass(frozen=True)
class SetStructure:
    """Of one set of dynamics: a model's test, its production, or the reference's own ("common set").

    missing  what could not be made, and why
    """

    name: str
    rdf: Rdf | None
    coordination: tuple[Coordination, ...]
    bonds: tuple[BondLengths, ...]
    displacement: tuple[Displacement, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True)
class StructureRecord:
    """All sets."""

    sets: tuple[SetStructure, ...]


def write_structure(path: str | Path, record: StructureRecord) -> None:
    """Write ``structure.json`` atomically."""
    write_result(path, FORMAT, VERSION, record)


def read_structure(path: str | Path) -> StructureRecord:
    """Read it back. Raises InputError as ``read_result`` does."""
    return read_result(path, FORMAT, VERSION, StructureRecord)
