"""Claims: which structures a process is computing, so that another one on the same store waits instead of paying too.

A claim is a lock on one byte of an empty file beside the store, at an offset that the key gives. The system lets go of
it when the process ends, however it ends, so there are no stale claims to judge. Like the store itself: on one machine.
"""

import fcntl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from jaxft.errors import InputError

SUFFIX = "-claims"
OFFSET_DIGITS = 15
"""Hexadecimal digits of a key that make the offset: 60 of the 63 bits that there are."""


class Claims:
    """This process's claims beside one store. Use ``open_claims``; one at a time in a process, since closing lets all go."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def take(self, keys: Sequence[str]) -> list[str]:
        """Claim all of these that no other process holds; these are returned, in their order."""
        return [key for key in keys if self._lock(key)]

    def release(self, key: str) -> None:
        """Give a claim back."""
        fcntl.lockf(self._file, fcntl.LOCK_UN, 1, _offset(key))

    def _lock(self, key: str) -> bool:
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _offset(key))
        except (BlockingIOError, PermissionError):  # the two that POSIX allows for "another process has it"
            return False
        return True


@contextmanager
def open_claims(store: Path) -> Iterator[Claims]:
    """Claims beside the store at this path, all given back at the end. Raises InputError where the file can't be made."""
    store = store.resolve()  # one file, by whatever name it is reached
    path = store.with_name(store.name + SUFFIX)
    try:
        file = path.open("ab")
    except OSError as error:
        raise InputError(
            f"{path}, which says what is being computed, can't be made ({error.strerror}); check the folder"
        ) from error
    with file:
        yield Claims(file)


def _offset(key: str) -> int:
    return int(key[:OFFSET_DIGITS], 16)
