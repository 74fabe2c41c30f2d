"""Resume a run with ``jax-rnn train``, whose options are read from its folder, unless given."""

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jax_rnn.lecture.teaching.training import lesson_of, program, whose_lesson
from jax_rnn.train.config import CONFIG, Guide, RunError, read_config
from rnn_lecture.recipe import BaseRecipe

__all__ = ["RECORDED", "Begun", "guide", "read_begun", "spell_out"]

USE = """    jax-rnn sample {folder} --prompt ...
    jax-rnn eval {folder}
    jax-rnn export {folder} --to safetensors

In Python: `model = jax_rnn.lecture.open_run({name!r}).model()`. Resume a stopped run, bit for bit,
with

    {resume}"""


RECORDED = ("mesh", "device", "tensorboard")
"""Options besides the configuration with which a run is resumed."""


class Begun(NamedTuple):
    """How a run was started, read from its folder; options that were not given are absent."""

    lesson: Any
    recipe: BaseRecipe
    options: dict[str, Any]


def spell_out(words: Sequence[str]) -> list[str]:
    """``--resume RUN`` as ``--out=RUN --resume``, and ``--out RUN`` as ``--out=RUN``.

    Raises:
        ValueError: an empty name, or two names.
    """
    found: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word in ("--out", "--resume") and rest and not rest[0].startswith("-"):
            word = f"{word}={rest.pop(0)}"
        if word.startswith("--resume="):
            found += [f"--out={word.removeprefix('--resume=')}", "--resume"]
        else:
            found.append(word)
    if sum(word == "--out" or word.startswith("--out=") for word in found) > 1:
        raise ValueError("expected one run folder, got two; use --resume RUN or --out RUN --resume")
    out = _out(found)
    if out is not None and not out.strip():
        raise ValueError("--out: expected the name of a run folder, got an empty one")
    return found


def _out(words: Sequence[str]) -> str | None:
    """The run folder on a command line, as ``spell_out`` returns it; None without one."""
    given = (word.removeprefix("--out=") for word in words if word.startswith("--out="))
    return next(given, None)


def read_begun(words: Sequence[str], lesson: str | None) -> Begun | None:
    """The run to resume; None if the words start a new one.

    Args:
        words: options, as ``spell_out`` returns them.
        lesson: the lesson on the command line, if any.

    Raises:
        RunError: no run in the folder, or one of another lesson.
        ValueError: neither a lesson nor a run.
    """
    out = _out(words)
    if "--resume" not in words or out is None:
        if lesson is None:
            raise ValueError("--resume: expected the folder of a run, got none")
        return None
    folder = Path(out)
    if lesson is not None and not (folder / CONFIG).exists():
        return None
    config = read_config(folder)
    if lesson not in (None, config.name):
        raise RunError(
            f"{folder}: expected the lesson {config.name!r} of this run, got "
            f"{lesson!r}; `jax-rnn train --resume {folder}` needs no lesson"
        )
    with whose_lesson(folder):
        found, recipe, text = lesson_of(config)
        recorded = config.made["options"]
        options = {"init": config.own["init"], "text": text} | {
            k: recorded.get(k) for k in RECORDED
        }
        _check_options(options)
    return Begun(found, recipe, {k: value for k, value in options.items() if value is not None})


def _check_options(options: Mapping[str, Any]) -> None:
    """Check the options. ValueError: a value that the command line does not accept."""
    for name, known in (
        ("init", ("torch", "flax")),
        ("device", (None, "cpu", "gpu", "tpu")),
        ("tensorboard", (None, False, True)),
    ):
        if options[name] not in known:
            raise ValueError(f"{name}: expected one of {known}, got {options[name]!r}")
    if not isinstance(options["mesh"], str | None):
        raise ValueError(f"mesh: expected data=N, got {options['mesh']!r}")


def guide(folder: Path, cluster: bool) -> Guide:
    """How to use and resume the run that this command line trains.

    Args:
        folder: the run.
        cluster: whether several processes train it, so that the same command resumes it.
    """
    words = ["train", f"--resume={folder}"]
    if cluster:
        words = [*(word for word in sys.argv[1:] if word != "--resume"), "--resume"]
    resume, name = shlex.join([*program(), *words]), str(folder)
    quoted = shlex.quote(f"./{name}" if name.startswith("-") else name)
    return Guide(USE.format(folder=quoted, name=name, resume=resume), resume)
