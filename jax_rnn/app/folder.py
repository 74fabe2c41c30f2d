"""The folder of a run that ``jax-rnn train`` makes: its name, how it began, how it is used."""

import shlex
import sys
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from jax_rnn.app.common import check_run
from jax_rnn.lecture.teaching.training import lesson_of, program, whose_lesson
from jax_rnn.train.config import CONFIG, Guide, RunError, read_config

__all__ = ["Begun", "guide_to", "new_folder", "read_begun"]

USE = """    jax-rnn sample {folder} --prompt ...
    jax-rnn eval {folder}
    jax-rnn export {folder} --to safetensors

In Python: `model = jax_rnn.lecture.open_run({name!r}).model()`.

To resume the run after it was stopped (the result is that of an uninterrupted run, bit for bit):

    {resume}"""

MAY_BE = {
    "init": lambda value: value in ("torch", "flax"),
    "text": lambda value: isinstance(value, Path),
    "mesh": lambda value: isinstance(value, str),
    "device": lambda value: value in ("cpu", "gpu", "tpu"),
    "tensorboard": lambda value: isinstance(value, bool),
}
"""Option -> whether the folder states a value of it."""


class Begun(NamedTuple):
    """How a run was started; ``options`` are those of ``MAY_BE`` that it states."""

    lesson: Any
    recipe: Any
    options: dict[str, Any]


def new_folder(lesson: str) -> Path:
    """A new folder in runs/, named by lesson and time."""
    name = f"{lesson}-{datetime.now():%Y%m%d-%H%M%S}"
    names = (name if k == 1 else f"{name}-{k}" for k in range(1, 1000))
    return next(path for path in map(Path("runs").joinpath, names) if not path.exists())


def read_begun(folder: Path, lesson: str) -> Begun | None:
    """The run in a folder; None if there is none yet, and the command line names a lesson.

    Raises:
        ArgumentError: no run in the folder. RunError: one of another lesson, or a damaged one.
    """
    if lesson and not (folder / CONFIG).exists():
        return None
    check_run("resume", folder)
    config = read_config(folder)
    if lesson not in ("", config.name):
        raise RunError(
            f"{folder}: expected the lesson {config.name!r} of this run, got "
            f"{lesson!r}; `jax-rnn train --resume {folder}` needs no lesson"
        )
    with whose_lesson(folder):
        found, recipe, text = lesson_of(config)
        options = {"init": config.own["init"], "text": text, **config.made["options"]}
        options = {name: options[name] for name in MAY_BE if options.get(name) is not None}
        for name, value in options.items():
            if not MAY_BE[name](value):
                raise ValueError(f"{name} is {value!r}")
    return Begun(found, recipe, options)


def guide_to(folder: Path, *, several: bool) -> Guide:
    """How to use and resume the run that this command line trains.

    Args:
        folder: the run.
        several: whether several processes train it, so that the same command resumes it.
    """
    words = ["train", f"--resume={folder}"]
    if several:
        words = [*(word for word in sys.argv[1:] if word != "--resume"), "--resume"]
    resume, name = shlex.join([*program(), *words]), str(folder)
    quoted = shlex.quote(f"./{name}" if name.startswith("-") else name)
    return Guide(USE.format(folder=quoted, name=name, resume=resume), resume)
