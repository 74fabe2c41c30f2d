"""Expected errors, each with one message and an exit code."""

import re
from collections.abc import Collection, Iterator

__all__ = ["FAILED", "INTERRUPTED", "USAGE", "explain", "for_commands", "was_interrupted"]

FAILED, USAGE, INTERRUPTED = 1, 2, 130
"""Exit codes: a failure; a wrong command line or file; Ctrl-C."""

FOR_COMMANDS = {
    "folder": "--out",
    "Run": "`jax-rnn train LESSON --out FOLDER`",
    "forward": "`jax-rnn train {owner}`",
    "sweep": "`jax-rnn sweep {owner}`",
    "evaluate": "`jax-rnn eval`",
    "examine": "`jax-rnn doctor`",
}
"""What a message from Python names as `owner.name` or `name`, and its form on the command line."""


def explain(error: Exception, options: Collection[str] = ()) -> tuple[str, int] | None:
    """The message and the exit code; None for an unexpected error, a bug of this library.

    Expected errors are those that this library raises, missing packages, and errors of files and
    memory.

    Args:
        error: the error.
        options: names of the options of the command, as in Python.
    """
    for kind, code in _expected():
        if isinstance(error, kind):
            message = for_commands(str(error), options, _starts_with_argument(error))
            return message or kind.__name__, code
    if isinstance(error, MemoryError) or _out_of_memory(error):
        return f"not enough memory: {_first_line(error)}; use a smaller model or batch", 1
    return None


def for_commands(message: str, options: Collection[str] = (), argument: bool = False) -> str:
    """The message with commands for functions, and with options for arguments.

    Args:
        message: from a module that is used from Python too.
        options: names of the options of the command, as in Python.
        argument: whether the message may start with the name of an argument.

    >>> for_commands("expected a lesson, use `names.sweep` with seeds= or resume=True", ["seeds"])
    'expected a lesson, use `jax-rnn sweep names` with --seeds or resume=True'
    """
    called = rf"`(?:(\w+)\.)?({'|'.join(FOR_COMMANDS)})`"
    message = re.sub(called, lambda found: FOR_COMMANDS[found[2]].format(owner=found[1]), message)
    named = rf"({'|'.join(options) or '(?!)'})"
    given = rf"(?<![^\s(]){named}=(?:True\b)?(?!\w)"
    for pattern in (given, rf"^{named}(?=: )")[: 1 + argument]:
        message = re.sub(pattern, lambda found: f"--{found[1].replace('_', '-')}", message)
    return message


def was_interrupted(error: BaseException) -> bool:
    """Whether Ctrl-C is the cause: interrupted imports can raise other errors."""
    return any(isinstance(cause, KeyboardInterrupt) for cause in _causes(error))


def _expected() -> tuple[tuple[type[Exception], int], ...]:
    """Imported only after a failure, since the modules are heavy."""
    from jax_rnn.devices import DeviceError
    from jax_rnn.lessons import UnknownLessonError
    from jax_rnn.train.history import DivergedError, NonFiniteLossError

    return (
        (UnknownLessonError, USAGE),
        (DeviceError, FAILED),
        (DivergedError, FAILED),
        (NonFiniteLossError, FAILED),
        (ModuleNotFoundError, FAILED),
        (OSError, FAILED),
        (ValueError, USAGE),
        (OverflowError, USAGE),
    )


def _starts_with_argument(error: Exception) -> bool:
    """Whether its message may start with the name of an argument, rather than with a path."""
    from jax_rnn.train.cluster import ClusterError
    from jax_rnn.train.config import RunError

    return isinstance(error, ValueError | ClusterError) and not isinstance(error, RunError)


def _out_of_memory(error: Exception) -> bool:
    return type(error).__name__ == "JaxRuntimeError" and "RESOURCE_EXHAUSTED" in str(error)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
