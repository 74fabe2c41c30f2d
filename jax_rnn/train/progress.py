"""A progress bar that stays away unless the work takes long and somebody is watching."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from jax_rnn.train.mesh import is_main

__all__ = ["progress_bar"]

PATIENCE = 2.0
"""Seconds before the bar appears."""


@contextmanager
def progress_bar(
    description: str, total: int, console: Console | None = None
) -> Iterator[Callable[..., None]]:
    """Yields ``advance(count, note="")``. The bar goes to standard error and leaves no trace."""
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=console or Console(stderr=True, quiet=not is_main()),
        transient=True,
    )
    task = progress.add_task(description, total=total, note="")
    shown_from = time.monotonic() + PATIENCE

    def advance(count: int, note: str = "") -> None:
        progress.update(task, advance=count, note=note)
        watched = progress.console.is_terminal
        if watched and time.monotonic() > shown_from and not progress.finished:
            progress.start()

    try:
        yield advance
    finally:
        if progress.live.is_started:
            progress.stop()
