"""What a run leaves on disk: JSON with a format and a version, written whole or not at all.

Every file of ours says what it is (``format``) and how it is laid out (``format_version``); a newer version is refused. An
atomic write goes to a temporary file beside its target, is flushed to the disk, and replaces it in one step, so that a crash
at any instant leaves the old file or the new one.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jaxft.errors import InputError

PARTIAL = ".part"
"""Ending of a file that is being written; its name begins with a dot."""


def write_atomically(path: str | Path, write: Callable[[Path], object]) -> None:
    """Call ``write`` with a temporary path in the folder of ``path``, then move the result into place."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # one name for all attempts: what a killed one left is overwritten by the next, and never piles up
    temporary = path.with_name(f".{path.name}{PARTIAL}")
    temporary.unlink(missing_ok=True)
    try:
        temporary.touch()
        write(temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write a text file atomically, in UTF-8."""
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_json(path: str | Path, format: str, version: int, data: dict[str, Any]) -> None:
    """Write ``data`` as JSON with its format and version, atomically, keys in the order given, no NaN."""
    record = {"format": format, "format_version": version, **data}
    write_text(path, json.dumps(record, indent=1, allow_nan=False) + "\n")


def read_json(path: str | Path, format: str, version: int) -> dict[str, Any]:
    """Read a record of ``format`` of at most ``version``. Raises InputError where it is something else or newer."""
    path = Path(path)
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; expected a {format} file") from None
    except ValueError as error:
        raise InputError(f"{path} is not JSON ({error}); expected a {format} file") from error
    if not isinstance(record, dict) or record.get("format") != format:
        found = record.get("format") if isinstance(record, dict) else type(record).__name__
        raise InputError(f"{path} has format {found!r}, expected {format!r}")
    if int(record.get("format_version", 0)) > version:
        raise InputError(
            f"{path} has {format} version {record['format_version']}, but this jaxft reads up to {version}; update jaxft"
        )
    return record


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
