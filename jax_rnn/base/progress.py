"""What training prints on standard error: messages, and a progress bar if the work takes long."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Column
from rich.text import Text

from jax_rnn.base.console import say
from jax_rnn.base.devices import is_main

__all__ = ["Bar", "notice", "progress_bar"]

PATIENCE = 2.0
"""Seconds before the bar appears."""

WIDTH = 24
"""Columns of the bar."""


def notice(text: str) -> None:
    """Print a message, from the main process only."""
    say(_console(), text)


def _console() -> Console:
    return Console(stderr=True, quiet=not is_main())


class Line(ProgressColumn):
    """What is done as a thick line, the rest as a thin one, which needs no colours."""

    def render(self, task: Task) -> Text:
        done = int(WIDTH * task.percentage / 100)
        return Text.assemble(("━" * done, "bar.complete"), ("─" * (WIDTH - done), "bar.back"))


class Bar:
    """The progress of one piece of work; ``bar(count, note="")`` advances it."""

    def __init__(self, progress: Progress, task: int):
        self._progress, self._task = progress, task
        self._shown = self._closed = False
        self._due = time.monotonic() + PATIENCE
        self._lock = threading.RLock()

    def __call__(self, count: int, note: str = "") -> None:
        self._progress.update(self._task, advance=count, note=note)  # type: ignore[arg-type]
        if time.monotonic() > self._due:
            self.show()

    def show(self) -> None:
        """Show the bar, unless the work is done or there is no terminal."""
        with self._lock:
            wanted = self._progress.console.is_terminal and not self._progress.finished
            if wanted and not self._closed:
                self._shown = True
                self._progress.start()

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Hide the bar while something else is printed."""
        with self._lock:
            if self._shown:
                self._progress.stop()
            yield
            if self._shown:
                self._progress.start()

    def close(self) -> None:
        """Erase the bar."""
        with self._lock:
            self._closed = True
            if self._shown:
                self._shown = False
                self._progress.stop()


@contextmanager
def progress_bar(description: str, total: int, console: Console | None = None) -> Iterator[Bar]:
    """Yield a ``Bar``, which appears only on a terminal and is erased at the end."""
    progress = Progress(
        TextColumn("{task.description}", markup=False),
        Line(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn(
            "{task.fields[note]}",
            markup=False,
            table_column=Column(no_wrap=True, overflow="ellipsis"),
        ),
        console=console or _console(),
        transient=True,
    )
    bar = Bar(progress, progress.add_task(description, total=total, note=""))
    timer = threading.Timer(PATIENCE, bar.show)  # for example while the first program is compiled
    timer.daemon = True
    if progress.console.is_terminal and PATIENCE > 0:
        timer.start()
    try:
        yield bar
    finally:
        timer.cancel()
        bar.close()
