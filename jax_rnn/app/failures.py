"""Expected errors, each with one message and an exit code."""

import re
from collections.abc import Collection

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
    from jax_rnn.base.devices import DeviceError
    from jax_rnn.base.processes import ClusterError
    from jax_rnn.lecture.lessons import UnknownLessonError
    from jax_rnn.testing.ladder import ParityError
    from jax_rnn.train.config import RunError
    from jax_rnn.train.results import DivergedError, NonFiniteLossError

    trained = (DivergedError, NonFiniteLossError, ParityError)
    failed = (DeviceError, ModuleNotFoundError, OSError, *trained)
    wrong = (UnknownLessonError, ValueError, OverflowError)
    if isinstance(error, failed + wrong):
        # a RunError or an OSError starts with a path, which may read like an argument
        argument = isinstance(error, ValueError | ClusterError) and not isinstance(error, RunError)
        message = for_commands(str(error), options, argument)
        return message or type(error).__name__, FAILED if isinstance(error, failed) else USAGE
    if isinstance(error, MemoryError) or _out_of_memory(error):
        reason = str(error).partition("\n")[0] or type(error).__name__
        return f"not enough memory: {reason}; use a smaller model or batch", FAILED
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
    cause: BaseException | None = error
    seen: set[int] = set()
    while cause is not None and id(cause) not in seen:
        if isinstance(cause, KeyboardInterrupt):
            return True
        seen.add(id(cause))
        cause = cause.__cause__ or cause.__context__
    return False


def _out_of_memory(error: Exception) -> bool:
    return type(error).__name__ == "JaxRuntimeError" and "RESOURCE_EXHAUSTED" in str(error)
