"""The command line ``jax-rnn``: the commands, their overview, and how they end.

Heavy modules are imported only when a command needs them, so that help is printed at once.
"""

import os
import sys
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from importlib.metadata import version
from typing import Any

from rich.console import Console

from jax_rnn.app.bench import bench
from jax_rnn.app.compare import compare
from jax_rnn.app.failures import INTERRUPTED, UsageError, explain, was_interrupted
from jax_rnn.app.inspect import inspect
from jax_rnn.app.lessons import doctor, lessons
from jax_rnn.app.options import HELP, Command, filled, shown
from jax_rnn.app.probe import probe
from jax_rnn.app.runs import evaluate, export, sample
from jax_rnn.app.sweep import sweep
from jax_rnn.app.train import train
from jax_rnn.base.caches import keep_compiled
from jax_rnn.base.console import say

__all__ = ["main"]

COMMANDS: dict[str, Callable[..., Any]] = {
    "lessons": lessons,
    "train": train,
    "compare": compare,
    "sweep": sweep,
    "bench": bench,
    "probe": probe,
    "sample": sample,
    "eval": evaluate,
    "inspect": inspect,
    "export": export,
    "doctor": doctor,
}

KEEP_NONE = "--no-compilation-cache"

OVERVIEW = """\
usage: jax-rnn COMMAND [OPTIONS]

Recurrent networks in JAX, compared with PyTorch.

commands:
{commands}

examples:
  jax-rnn compare ihello
  jax-rnn train char_lm --out runs/mine
  jax-rnn sample runs/mine --prompt "ROMEO:"
"""

NOTES = (
    "'jax-rnn COMMAND --help' describes a command and its options. 'jax-rnn --version' prints the "
    "version.",
    "Compiled programs are cached in the user's cache folder (see 'jax-rnn doctor'), so that the "
    "same command starts faster the next time. JAX_COMPILATION_CACHE_DIR sets another folder; "
    f"{KEEP_NONE}, with any command, or JAX_ENABLE_COMPILATION_CACHE=false disables the cache.",
)

errors = Console(stderr=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command. Exits with 1 on failure and 2 on wrong usage, with a message on stderr."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    command = None
    try:
        if not words or words[0] in HELP:
            print(overview())
        elif words[0] == "--version":
            print(f"jax-rnn {version('jax-rnn')}")
        elif words[0] in COMMANDS:
            command = Command(f"jax-rnn {words[0]}", COMMANDS[words[0]])
            command.run(words[1:], _cache)
        else:
            raise UsageError(_unknown(words[0]))
    except BrokenPipeError:  # the output was closed, as in `jax-rnn train ihello | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt as interrupt:
        if str(interrupt):
            say(errors, interrupt)
        sys.exit(INTERRUPTED)
    except Exception as error:
        if was_interrupted(error):
            sys.exit(INTERRUPTED)
        explained = explain(error, command.named if command else {})
        if explained is None:
            raise
        message, code = explained
        say(errors, message, "error:")
        sys.exit(code)


def overview() -> str:
    """The text of ``jax-rnn --help``."""
    width = max(map(len, COMMANDS)) + 4
    purposes = (filled((run.__doc__ or "").partition("\n")[0], width) for run in COMMANDS.values())
    lines = (f"  {name:{width - 2}}{text}" for name, text in zip(COMMANDS, purposes, strict=True))
    return "\n".join([OVERVIEW.format(commands="\n".join(lines)), "\n\n".join(map(filled, NOTES))])


def _unknown(name: str) -> str:
    nearest = get_close_matches(name, COMMANDS, n=1, cutoff=0.5)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else "."
    return f"unknown command {shown(name)}{hint} The commands are {', '.join(COMMANDS)}"


def _cache(keep: bool) -> None:
    """Set up the compilation cache, which is optional."""
    try:
        keep_compiled(keep)
    except OSError as error:
        say(errors, f"warning: compiled programs are not cached: {error}")
