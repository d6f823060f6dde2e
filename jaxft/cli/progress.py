"""Progress on the terminal: rich bars with rate and time left, plain lines where the output is no terminal, a log beside it."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class _Bar:
    def __init__(self, progress: Progress, title: str, total: float) -> None:
        self.progress = progress
        self.note = ""
        self.task = progress.add_task(title, total=total, note="")

    def update(self, done: float, note: str = "") -> None:
        """Set how much is done, with a few words beside the bar."""
        self.note = note
        self.progress.update(self.task, completed=done, note=note)


class TerminalProgress:
    """Bars while it is open. Each finished step leaves one line in the log; without a terminal, on the output too."""

    def __init__(self, console: Console, log: Path) -> None:
        self.console = console
        self.log = log
        self.progress = Progress(
            TextColumn("{task.description}", justify="left"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> "TerminalProgress":
        self.progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.progress.stop()

    def task(self, title: str, total: float, unit: str) -> AbstractContextManager[_Bar]:
        """A bar for one long step; a line with its duration when it is done."""
        return self._task(title, total, unit)

    def say(self, text: str) -> None:
        """One line on the output and in the log."""
        self.console.print(text, highlight=False)
        if self.log.parent.is_dir():
            with self.log.open("a", encoding="utf-8") as file:
                file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {text}\n")

    @contextmanager
    def _task(self, title: str, total: float, unit: str) -> Iterator[_Bar]:
        began = time.perf_counter()
        bar = _Bar(self.progress, title, total)
        try:
            yield bar
        finally:
            self.progress.remove_task(bar.task)
        note = f", {bar.note}" if bar.note else ""
        self.say(f"{title}: {total:g} {unit} in {time.perf_counter() - began:.1f} s{note}")
