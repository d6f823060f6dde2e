"""Room on a disk: asked before a label is paid for, and before a failure is blamed on a structure."""

import shutil
from pathlib import Path

from jaxft.errors import InputError


def require_space(folder: Path, room: int, what: str) -> None:
    """InputError, which begins with ``what``, where fewer than ``room`` bytes are left on the folder's disk."""
    if shutil.disk_usage(folder.resolve()).free < room:
        raise InputError(f"{what}; make room first")
