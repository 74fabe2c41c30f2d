"""The command line ``jax-rnn``, a file a command in ``commands``.

Nothing heavy is imported before a command needs it, so that help comes at once.
"""

import os
import sys
from collections.abc import Sequence

import tyro
from rich.console import Console
from rich.markup import escape

from jax_rnn.caches import keep_compiled
from jax_rnn.commands.bench import bench
from jax_rnn.commands.compare import compare
from jax_rnn.commands.lessons import doctor, lessons
from jax_rnn.commands.runs import evaluate, export, sample
from jax_rnn.commands.sweep import sweep
from jax_rnn.commands.train import train
from jax_rnn.console import printable, say
from jax_rnn.lessons import TASKS

__all__ = ["main"]

COMMANDS = {
    "lessons": lessons,
    "train": train,
    "compare": compare,
    "sweep": sweep,
    "bench": bench,
    "sample": sample,
    "eval": evaluate,
    "export": export,
    "doctor": doctor,
}

KEEP_NONE = "--no-compilation-cache"
DESCRIPTION = f"""Recurrent networks in JAX, side by side with PyTorch.

Compiled programs are kept in the user's cache folder (`jax-rnn doctor` says where), so that the
same command starts sooner the next time. JAX_COMPILATION_CACHE_DIR names another folder;
{KEEP_NONE}, with any command, or JAX_ENABLE_COMPILATION_CACHE=false keeps none.
"""

errors = Console(stderr=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command. Exits with 1 on failure and 2 on wrong usage, saying why on standard error."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        words = _keep_compiled(words)
        if words[:1] == ["train"] and _is_on_data(words[1:]):
            from jax_rnn.commands.train_on_data import train_on_data

            lesson = words[1] if words[1] in TASKS else None
            train_on_data(lesson, words[1 if lesson is None else 2 :])
            return
        tyro.extras.subcommand_cli_from_dict(
            COMMANDS,
            prog="jax-rnn",
            description=DESCRIPTION,
            args=words,
            config=(tyro.conf.HelptextFromCommentsOff,),
        )
    except BrokenPipeError:  # the reader has seen enough, as in `jax-rnn train ihello | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt as interrupt:
        if str(interrupt):
            say(errors, interrupt)
        sys.exit(130)
    except Exception as error:
        if not isinstance(error, _expected()):
            raise
        _fail(error)


def _is_on_data(words: Sequence[str]) -> bool:
    """Whether the words after ``train`` name a lesson on real data, or a run to go on with."""
    resuming = any(word == "--resume" or word.startswith("--resume=") for word in words)
    return words[:1] != [] and (words[0] in TASKS or (resuming and words[0].startswith("-")))


def _keep_compiled(words: list[str]) -> list[str]:
    """Without a cache a command does the same, only later; the words that are left for it."""
    try:
        keep_compiled(KEEP_NONE not in words)
    except OSError as error:
        say(errors, f"compiled programs are not kept: {error}")
    return [word for word in words if word != KEEP_NONE]


def _expected() -> tuple[type[Exception], ...]:
    """Errors that tell the user what to do; any other is a fault of ours and shows itself."""
    from jax_rnn.devices import DeviceError
    from jax_rnn.lessons import UnknownLessonError
    from jax_rnn.train.history import DivergedError, NonFiniteLossError

    return (
        DeviceError,
        UnknownLessonError,
        DivergedError,
        NonFiniteLossError,
        ValueError,
        ModuleNotFoundError,
        OSError,
    )


def _fail(error: Exception) -> None:
    text = escape(printable(error))
    errors.print(f"[bold red]error:[/] {text}", highlight=False, emoji=False, soft_wrap=True)
    sys.exit(2 if isinstance(error, LookupError | ValueError) else 1)
