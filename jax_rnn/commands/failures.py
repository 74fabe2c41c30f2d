"""Errors that a user can act on: one message each, and the exit code."""

from collections.abc import Iterator

__all__ = ["FAILED", "INTERRUPTED", "USAGE", "explain", "was_interrupted"]

FAILED, USAGE, INTERRUPTED = 1, 2, 130
"""Exit codes: it could not be done; the command line or a file is wrong; Ctrl-C."""


def explain(error: Exception) -> tuple[str, int] | None:
    """The message and the exit code; None for an error that is a fault of this library.

    Only errors whose message says what to do are expected: those that this library raises, missing
    packages, and those of files and of memory.
    """
    for kind, code in _expected():
        if isinstance(error, kind):
            return str(error) or kind.__name__, code
    if isinstance(error, MemoryError) or _out_of_memory(error):
        return f"not enough memory: {_first_line(error)}; make the model or the batch smaller", 1
    return None


def was_interrupted(error: BaseException) -> bool:
    """Whether Ctrl-C is the cause: modules that are interrupted while imported raise others."""
    return any(isinstance(cause, KeyboardInterrupt) for cause in _causes(error))


def _expected() -> tuple[tuple[type[Exception], int], ...]:
    """Imported when something fails, since the modules are heavy."""
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
