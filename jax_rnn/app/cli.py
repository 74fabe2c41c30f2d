"""The command line ``jax-rnn``, with one file per command in ``commands``.

Heavy modules are imported only when a command needs them, so that help is printed at once.
"""

import os
import sys
from collections.abc import Collection, Sequence
from difflib import get_close_matches
from importlib.metadata import version
from inspect import signature
from itertools import pairwise

import tyro
from rich.console import Console
from rich.markup import escape

from jax_rnn.app.bench import bench
from jax_rnn.app.common import UsageError
from jax_rnn.app.compare import compare
from jax_rnn.app.failures import INTERRUPTED, explain, was_interrupted
from jax_rnn.app.help import overview, page, wrapped
from jax_rnn.app.lessons import doctor, lessons
from jax_rnn.app.runs import evaluate, export, sample
from jax_rnn.app.sweep import sweep
from jax_rnn.app.train import OPTIONS, train
from jax_rnn.base.caches import keep_compiled
from jax_rnn.base.console import CONTROL, printable, say

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

ANY_TEXT = {"--prompt", "--out", "--resume", "--text", "--file", "--json", "--html", "--plot"}
LONGEST_WORD, LONGEST_PATH = 1_000, 4_096
"""Characters of an argument, and of one that is a path."""

KEEP_NONE = "--no-compilation-cache"

errors = Console(stderr=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command. Exits with 1 on failure and 2 on wrong usage, with a message on stderr."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        words = _keep_compiled(words)
        if {"-h", "--help"} & {*words} or not words:
            with wrapped():
                _run(words)
        else:
            _run(words)
    except BrokenPipeError:  # the output was closed, as in `jax-rnn train ihello | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt as interrupt:
        if str(interrupt):
            say(errors, interrupt)
        sys.exit(INTERRUPTED)
    except Exception as error:
        if was_interrupted(error):
            sys.exit(INTERRUPTED)
        explained = explain(error, _options(words))
        if explained is None:
            raise
        _fail(*explained)


def _run(words: list[str]) -> None:
    """Find the command and call it with the options that tyro parses."""
    _check_words(words)
    name, *rest = words or ["--help"]
    if name in ("-h", "--help"):
        print(overview(COMMANDS), end="")
    elif name == "--version":
        print(f"jax-rnn {version('jax-rnn')}")
    elif name not in COMMANDS:
        raise UsageError(_unknown(name))
    elif name == "train" and rest in (["-h"], ["--help"]):
        print(page(train, "usage: jax-rnn train LESSON [OPTIONS]"), end="")
    elif name == "train":
        train(rest)  # parses the options of the lesson
    else:
        tyro.cli(
            COMMANDS[name],
            prog=f"jax-rnn {name}",
            args=rest,
            config=(tyro.conf.HelptextFromCommentsOff,),
        )


def _check_words(words: Sequence[str]) -> None:
    """UsageError: a word that a message could not repeat: too long, or with control characters.

    Names of files and what follows ``--prompt`` may hold any characters.
    """
    for k, (before, word) in enumerate(pairwise(("", *words))):
        option, _, value = word.partition("=") if word.startswith("--") else (before, "", word)
        any_text = option in ANY_TEXT or (k < 2 and not option.startswith("--"))
        named = option if option.startswith("--") else "argument"
        most = LONGEST_PATH if os.sep in value else LONGEST_WORD
        if len(value) > most and option != "--prompt":
            raise UsageError(
                f"{named}: expected at most {most:,} characters, got {len(value):,}: "
                f"{printable(value[:20])}..."
            )
        if not any_text and CONTROL.search(value):
            raise UsageError(f"{named}: expected no control characters, got {printable(value)}")


def _options(words: Sequence[str]) -> Collection[str]:
    """Names of the options of the command, as in Python."""
    command = COMMANDS.get(words[0]) if words else None
    if command is None or command is train:
        return OPTIONS if command is train else ()
    arguments = signature(command).parameters.values()
    return {argument.name for argument in arguments if argument.kind is argument.KEYWORD_ONLY}


def _unknown(name: str) -> str:
    nearest = get_close_matches(name, COMMANDS, n=1, cutoff=0.5)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else "."
    return f"unknown command {name!r}{hint} The commands are {', '.join(COMMANDS)}"


def _keep_compiled(words: list[str]) -> list[str]:
    """Set up the compilation cache, which is optional; return the remaining words."""
    try:
        keep_compiled(KEEP_NONE not in words)
    except OSError as error:
        say(errors, f"compiled programs are not cached: {error}")
    return [word for word in words if word != KEEP_NONE]


def _fail(message: str, code: int) -> None:
    text = escape(printable(message))
    errors.print(f"[bold red]error:[/] {text}", highlight=False, emoji=False, soft_wrap=True)
    sys.exit(code)
