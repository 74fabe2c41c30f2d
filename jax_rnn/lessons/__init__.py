"""The lecture's programs, one file each; ``reference_torch`` has the same file in PyTorch."""

from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jax_rnn.lessons.lesson import Lesson
    from jax_rnn.lessons.task import Task

__all__ = ["NAMES", "TASKS", "UnknownLessonError", "load", "load_task"]

NAMES = (
    "cell",
    "unfold",
    "batch",
    "ihello",
    "ihello_stepwise",
    "softmax",
    "rnn_linear",
    "embedding",
    "long_sentence",
    "long_sentence_windows",
    "rnn_by_hand",
    "gru_by_hand",
    "lstm_by_hand",
)
"""Lessons whose data is a word or a sentence."""

TASKS = ("names", "names_generate", "char_lm", "seq2seq", "seq2seq_attention")
"""Lessons that train on a data set and are evaluated on held-out data."""


class UnknownLessonError(LookupError):
    """No lesson has this name; the message suggests the nearest."""


def load(name: str) -> "Lesson":
    """The lesson of this name, one of ``NAMES``."""
    return _find(name, NAMES, "on a word or a sentence")


def load_task(name: str) -> "Task[Any]":
    """The lesson of this name, one of ``TASKS``."""
    return _find(name, TASKS, "on a data set")


def _find(name: str, names: tuple[str, ...], kind: str) -> Any:
    if name in names:
        return import_module(f"jax_rnn.lessons.{name}").lesson
    if name in NAMES + TASKS:
        raise UnknownLessonError(f"expected a lesson {kind} ({', '.join(names)}), got {name}")
    nearest = get_close_matches(name, NAMES + TASKS, n=1, cutoff=0.5)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else "."
    raise UnknownLessonError(
        f"unknown lesson {name!r}{hint} The lessons are {', '.join(NAMES + TASKS)}"
    )
