"""Expected errors, each with one message and an exit code."""

from collections.abc import Iterator

__all__ = ["FAILED", "INTERRUPTED", "USAGE", "explain", "was_interrupted"]

FAILED, USAGE, INTERRUPTED = 1, 2, 130
"""Exit codes: a failure; a wrong command line or file; Ctrl-C."""


def explain(error: Exception) -> tuple[str, int] | None:
    """The message and the exit code; None for an unexpected error, a bug of this library.

    Expected errors are those that this library raises, missing packages, and errors of files and
    memory.
    """
    for kind, code in _expected():
        if isinstance(error, kind):
            return str(error) or kind.__name__, code
    if isinstance(error, MemoryError) or _out_of_memory(error):
        return f"not enough memory: {_first_line(error)}; use a smaller model or batch", 1
    return None


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
