"""Progress of a study: what long steps report to, and nothing of how it is shown."""

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol


class Task(Protocol):
    """One bar: how much is done of its total, and a few words beside it."""

    def update(self, done: float, note: str = "") -> None:
        """Set how much is done."""
        ...


class Progress(Protocol):
    """Where a study says what it is doing."""

    def task(self, title: str, total: float, unit: str) -> AbstractContextManager[Task]:
        """A bar for one long step."""
        ...

    def say(self, text: str) -> None:
        """One line for the log and the terminal."""
        ...


class Silent:
    """Progress that nobody watches."""

    def say(self, text: str) -> None:
        """Say nothing."""

    def task(self, title: str, total: float, unit: str) -> AbstractContextManager[Task]:
        """A bar that is not drawn."""
        return nullcontext(self)

    def update(self, done: float, note: str = "") -> None:
        """Draw nothing."""
