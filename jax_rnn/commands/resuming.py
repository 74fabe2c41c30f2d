"""Options of ``jax-rnn train`` for an existing run: read from its folder, unless given."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jax_rnn.lessons import UnknownLessonError, load
from jax_rnn.train.config import CONFIG, RunError, read_config
from rnn_lecture.recipe import BaseRecipe

__all__ = ["Begun", "read_begun", "spell_out"]


class Begun(NamedTuple):
    """The options with which a run was started, read from its folder."""

    lesson: str
    recipe: BaseRecipe
    init: Any
    text: Path | None
    options: dict[str, Any]


def spell_out(words: Sequence[str]) -> list[str]:
    """``--resume RUN`` as ``--out RUN --resume``.

    Raises:
        ValueError: an empty name, or two names.
    """
    found: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "--resume" and rest and not rest[0].startswith("-"):
            word = f"--resume={rest.pop(0)}"
        if word.startswith("--resume="):
            found += [f"--out={word.removeprefix('--resume=')}", "--resume"]
        else:
            found.append(word)
    outs = [k for k, word in enumerate(found) if word == "--out" or word.startswith("--out=")]
    if len(outs) > 1:
        raise ValueError("expected one run folder, got two; use --resume RUN or --out RUN --resume")
    for k in outs:
        name = found[k].partition("=")[2] if "=" in found[k] else (*found, "x")[k + 1]
        if not name.strip():
            raise ValueError("--out: expected the name of a run folder, got an empty one")
    return found


def read_begun(words: Sequence[str], lesson: str | None) -> Begun | None:
    """The run to resume; None if the words start a new one.

    Args:
        words: options, as ``spell_out`` returns them.
        lesson: the lesson on the command line, if any.

    Raises:
        RunError: no run in the folder, or one of another lesson.
        ValueError: neither a lesson nor a run.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--resume", action="store_true")
    try:
        given = parser.parse_known_args(list(words))[0]
    except argparse.ArgumentError:
        given = argparse.Namespace(out=None, resume=False)
    if not given.resume or given.out is None:
        if lesson is None:
            raise ValueError("--resume: expected the folder of a run, got none")
        return None
    if lesson is not None and not (given.out / CONFIG).exists():
        return None
    config = read_config(given.out)
    if lesson not in (None, config.get("lesson")):
        raise RunError(
            f"{given.out}: expected the lesson {config.get('lesson')!r} of this run, got "
            f"{lesson!r}; `jax-rnn train --resume {given.out}` needs no lesson"
        )
    try:
        made = config["made"]
        text, options = made["text"], made.get("options", {})
        begun = Begun(
            config["lesson"],
            type(load(config["lesson"]).recipe)(**config["recipe"]),
            config["init"],
            Path(text) if text else None,
            dict(options),
        )
        _check_options(begun)
        return begun
    except (KeyError, TypeError, ValueError, AttributeError, UnknownLessonError) as error:
        raise RunError(
            f"{given.out}: expected a run of a lesson, got another ({type(error).__name__}: "
            f"{error}). Resume a run of your own model from Python, see its README.md"
        ) from error


def _check_options(begun: Begun) -> None:
    """Check the options. ValueError: a value that the command line does not accept."""
    options = begun.options
    for name, value, known in (
        ("init", begun.init, ("torch", "flax")),
        ("device", options.get("device"), (None, "cpu", "gpu", "tpu")),
        ("tensorboard", options.get("tensorboard"), (None, False, True)),
    ):
        if value not in known:
            raise ValueError(f"{name}: expected one of {known}, got {value!r}")
    if not isinstance(options.get("mesh"), str | None):
        raise ValueError(f"mesh: expected data=N, got {options['mesh']!r}")
