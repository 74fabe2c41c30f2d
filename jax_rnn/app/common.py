"""Options and output that several commands share."""

from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console

from jax_rnn.base.console import say

__all__ = [
    "Dtype",
    "File",
    "Kind",
    "LessonName",
    "Output",
    "Preset",
    "Seeds",
    "SeedsPerCall",
    "Steps",
    "SweepDtype",
    "UsageError",
    "check_seed",
    "console",
    "say_written",
]

LessonName = Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="LESSON")]
Seeds = Annotated[int, tyro.conf.arg(metavar="N")]
SeedsPerCall = Annotated[int | None, tyro.conf.arg(metavar="N")]
File = Annotated[Path | None, tyro.conf.arg(metavar="FILE")]
Output = File
Kind = Annotated[Literal["cpu", "gpu", "tpu"] | None, tyro.conf.arg(metavar="cpu|gpu|tpu")]
Preset = Annotated[str | None, tyro.conf.arg(metavar="NAME")]
Steps = Annotated[int | None, tyro.conf.arg(metavar="N")]
Dtype = Literal["float32", "float64"]
SweepDtype = Annotated[Dtype | None, tyro.conf.arg(metavar="float32|float64")]

console = Console()


class UsageError(ValueError):
    """Options of the command line that contradict each other or are out of range."""


def check_seed(seed: int) -> None:
    if not 0 <= seed < 2**32:
        raise UsageError(f"--seed: expected a number from 0 to {2**32 - 1}, got {seed}")


def say_written(*paths: Path | None) -> None:
    for path in paths:
        if path:
            say(console, f"written: {path}")
