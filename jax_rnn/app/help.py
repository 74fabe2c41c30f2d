"""The help of ``jax-rnn``: an overview of the commands, and wrapping between words."""

import inspect
import io
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from typing import Any

__all__ = ["overview", "page", "wrapped"]

OVERVIEW = """\
usage: jax-rnn COMMAND [OPTIONS]

Recurrent networks in JAX, compared with PyTorch.

commands:
{commands}

examples:
  jax-rnn compare ihello
  jax-rnn train char_lm --out runs/mine
  jax-rnn sample runs/mine --prompt "ROMEO:"

`jax-rnn COMMAND --help` describes a command and its options. `jax-rnn --version` prints the \
version.

Compiled programs are cached in the user's cache folder (see `jax-rnn doctor`), so that the \
same command starts faster the next time. JAX_COMPILATION_CACHE_DIR sets another folder; \
--no-compilation-cache, with any command, or JAX_ENABLE_COMPILATION_CACHE=false disables the cache.
"""


def overview(commands: Mapping[str, Callable[..., Any]]) -> str:
    """The text of ``jax-rnn --help``.

    Args:
        commands: functions by name; the first line of each docstring describes the command.
    """
    width = max(map(len, commands)) + 2
    lines = [
        textwrap.fill(
            (command.__doc__ or "").partition("\n")[0],
            _columns(),
            initial_indent=f"  {name:{width}}",
            subsequent_indent=" " * (width + 2),
        )
        for name, command in commands.items()
    ]
    return OVERVIEW.format(commands="\n".join(lines))


def page(command: Callable[..., Any], usage: str) -> str:
    """The help of a command that parses its own options: its usage and its docstring."""
    return f"{usage}\n\n{inspect.getdoc(command)}\n"


@contextmanager
def wrapped() -> Iterator[None]:
    """Collect the output, and print it at the end with long lines wrapped.

    tyro draws boxes to the width of the terminal, but does not wrap other lines.
    """
    text = io.StringIO()
    text.isatty = sys.stdout.isatty
    try:
        with redirect_stdout(text):
            yield
    finally:
        before = ""
        for line in text.getvalue().splitlines(keepends=True):
            if line.strip() or before.strip():
                sys.stdout.write(_wrap(line))
            before = line


def _columns() -> int:
    return max(shutil.get_terminal_size().columns, 40)


def _wrap(line: str) -> str:
    if "\x1b" in line or len(line.rstrip()) <= _columns() or line.startswith(("│", "╭", "╰")):
        return line
    indent = " " * (len(line) - len(line.lstrip()) + 2 * line.lstrip().startswith("$ "))
    wrapper = textwrap.TextWrapper(
        _columns(), subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    return wrapper.fill(line) + "\n"
