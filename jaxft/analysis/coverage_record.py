"""``evaluation/coverage.json``: what lies outside which training set, and the map to draw it on."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jaxft.analysis.coverage import Share
from jaxft.analysis.result_file import read_result, write_result

FORMAT, VERSION = "jaxft-coverage", 1


@dataclass(frozen=True)
class MapPoint:
    """One atom on the map.

    set     name of its set: a model's training set, "test MODEL", or "frames MODEL" (those that were labelled)
    frame   number of the frame in that set
    atom    its number in the frame
    bond    Å, its nearest partner of the chosen pair (O-H for H and O); None for other elements
    """

    set: str
    frame: int
    atom: int
    element: str
    pc1: float
    pc2: float
    bond: float | None


@dataclass(frozen=True)
class Coverage:
    """Coverage of a study.

    fitted_to   the sets that the space was fitted to
    explained   share of the variance along the axes of the pooled PCA
    radii       by element
    shares      test and production atoms outside training sets, and training sets outside each other, both ways
    new         for each model of the periodic strategy: share of what its test visits that neither training data nor tests of
                the models before it did; the first one against its training set alone
    points      of the map, at most ``POINTS`` for each set
    missing     what could not be made, and why
    """

    fitted_to: tuple[str, ...]
    explained: tuple[float, ...]
    radii: Mapping[str, float]
    shares: tuple[Share, ...]
    new: tuple[Share, ...]
    points: tuple[MapPoint, ...]
    missing: tuple[str, ...]


def write_coverage(path: str | Path, record: Coverage) -> None:
    """Write ``coverage.json`` atomically."""
    write_result(path, FORMAT, VERSION, record)


def read_coverage(path: str | Path) -> Coverage:
    """Read it back. Raises InputError as ``read_result`` does."""
    return read_result(path, FORMAT, VERSION, Coverage)
