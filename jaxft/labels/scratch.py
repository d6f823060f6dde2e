"""Scratch: a folder of its own for each calculation, gone when it went well, kept for people to look at when it did not."""

import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jaxft.errors import InputError


def default_root() -> Path:
    """Where scratch folders are made when nobody says: in the system's temporary folder ($TMPDIR), one per user."""
    user = os.getuid() if hasattr(os, "getuid") else "user"
    return Path(tempfile.gettempdir()) / f"jaxft-labels-{user}"


@contextmanager
def scratch_folder(root: str | Path | None, name: str) -> Iterator[Path]:
    """A new empty folder ``<root>/<name>-<host>-<process>-<random>``, removed at the end unless an error left something.

    What processes of this machine that have ended left under the same name goes first: a killed calculation can't
    remove its own. Raises InputError where the folder can't be made.
    """
    root = default_root() if root is None else Path(root)
    host = platform.node().partition(".")[0].replace("-", "_") or "host"
    try:
        root.mkdir(parents=True, exist_ok=True)
        for old in root.glob(f"{name}-{host}-*"):
            if not _is_running(old.name.removeprefix(f"{name}-{host}-").partition("-")[0]):
                shutil.rmtree(old, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(prefix=f"{name}-{host}-{os.getpid()}-", dir=root))
    except OSError as error:
        raise InputError(
            f"the scratch folder {root} can't be used ({error.strerror}); make room there, or set labels.scratch"
        ) from error
    try:
        yield folder
    except BaseException:
        if not any(folder.iterdir()):
            folder.rmdir()
        raise
    shutil.rmtree(folder, ignore_errors=True)  # a busy network disk may leave some; the label is what counts


def left_behind(root: str | Path | None, name: str) -> str | None:
    """The newest folder of that name, which a calculation left that was ended from outside; None where there is none."""
    root = default_root() if root is None else Path(root)
    folders = sorted(root.glob(f"{name}-*"), key=lambda folder: folder.stat().st_mtime)
    return str(folders[-1]) if folders else None


def _is_running(process_id: str) -> bool:
    try:
        os.kill(int(process_id), 0)
    except (ProcessLookupError, ValueError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
