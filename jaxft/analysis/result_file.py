"""Files under ``evaluation/``: a frozen record as JSON and back, floats rounded so that the same run gives the same bytes again.

No times of day, hosts or paths. Rounding happens here, at the very end: everything is computed from full precision.
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from jaxft.errors import InputError
from jaxft.records import read_json, write_json

DIGITS = 6
"""Significant digits of everything but times and total energies."""

EXACT_DIGITS = 12
"""Significant digits of times and total energies: 1e-7 eV of -17 660 eV."""

EXACT = frozenset(
    {"times_fs", "times", "time_fs", "length_fs", "start_fs", "horizon_fs", "model_energies", "reference_energies"}
)

Record = TypeVar("Record")


def plain_record(record: Any) -> dict[str, Any]:
    """A frozen dataclass as plain JSON values: string keys, lists, rounded floats."""
    return {"digits": DIGITS, "exact_digits": EXACT_DIGITS, **_plain(asdict(record), DIGITS)}


def write_result(path: str | Path, format: str, version: int, record: Any) -> None:
    """Write a frozen dataclass atomically."""
    write_json(path, format, version, plain_record(record))


def read_result(path: str | Path, format: str, version: int, kind: type[Record]) -> Record:
    """Read one. Raises InputError where the file is missing, newer than this code, or not what it should be."""
    record = read_json(path, format, version)
    try:
        return TypeAdapter(kind).validate_python(record)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{path} is damaged at {where} ({first['msg']}); make it again with jaxft analyze") from None


def _plain(value: Any, digits: int) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item, EXACT_DIGITS if key in EXACT else digits) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, digits) for item in value]
    if isinstance(value, float):
        return float(f"{value:.{digits - 1}e}")
    return value
