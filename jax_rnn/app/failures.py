"""Expected errors, each with one message and an exit code."""

import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import NoReturn

from jax_rnn.base.errors import ArgumentError, ArgumentTypeError

__all__ = ["FAILED", "INTERRUPTED", "USAGE", "UsageError", "explain", "leave", "was_interrupted"]

FAILED, USAGE, INTERRUPTED = 1, 2, 130
"""Exit codes: a failure; a wrong command line or file; Ctrl-C."""

SAME = {"folder": ("out", "run")}
"""Argument of the library -> options with another name."""

CALMER = "use a smaller --learning-rate, or a longer --warmup or a smaller --clip"


class UsageError(ValueError):
    """A command line that cannot be read, or options that contradict each other."""


def explain(error: Exception, options: Mapping[str, str] = {}) -> tuple[str, int] | None:
    """The message and the exit code; None for an unexpected error, a bug of this library.

    Expected errors are those that this library raises, missing packages, and errors of files and
    memory.

    Args:
        error: the error.
        options: argument -> how the command line names it.
    """
    if isinstance(error, UsageError | ArgumentError | ArgumentTypeError):
        return _message(error, options), USAGE
    from jax_rnn.base.devices import DeviceError
    from jax_rnn.lecture.lessons import UnknownLessonError
    from jax_rnn.testing.ladder import ParityError
    from jax_rnn.train.results import DivergedError, NonFiniteLossError

    if isinstance(error, DivergedError | NonFiniteLossError):
        return f"{error.problem}; {CALMER}", FAILED
    if isinstance(error, DeviceError | ModuleNotFoundError | OSError | ParityError):
        return _message(error, options), FAILED
    if isinstance(error, UnknownLessonError | ValueError | OverflowError):
        return _message(error, options), USAGE
    if isinstance(error, MemoryError) or _out_of_memory(error):
        reason = str(error).partition("\n")[0] or type(error).__name__
        return f"not enough memory: {reason}; use a smaller model or batch", FAILED
    return None


def _message(error: Exception, options: Mapping[str, str]) -> str:
    """The message, with the option of the command line for the argument that is wrong."""
    argument: str = getattr(error, "argument", "")
    for name in (argument, *SAME.get(argument, ())):
        if name in options:
            return f"{options[name]}: {error.reason}"  # pyright: ignore[reportAttributeAccessIssue]
    return str(error) or type(error).__name__


def was_interrupted(error: BaseException) -> bool:
    """Whether Ctrl-C is the cause: interrupted imports can raise other errors."""
    cause: BaseException | None = error
    seen: set[int] = set()
    while cause is not None and id(cause) not in seen:
        if isinstance(cause, KeyboardInterrupt):
            return True
        seen.add(id(cause))
        cause = cause.__cause__ or cause.__context__
    return False


def leave() -> NoReturn:
    """End an interrupted process at once: a normal exit crashes in threads of XLA that still run.

    Files are complete at this point; another Ctrl-C has no effect.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(INTERRUPTED)


def _out_of_memory(error: Exception) -> bool:
    return type(error).__name__ == "JaxRuntimeError" and "RESOURCE_EXHAUSTED" in str(error)
