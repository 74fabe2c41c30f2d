"""The lecture's programs, one file each; ``reference_torch`` has the same file in PyTorch."""

from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jax_rnn.lessons.lesson import Lesson

__all__ = ["NAMES", "UnknownLessonError", "load"]

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


class UnknownLessonError(LookupError):
    """There is no lesson of that name; the message names the nearest."""


def load(name: str) -> "Lesson":
    """The lesson of that name."""
    if name not in NAMES:
        nearest = get_close_matches(name, NAMES, n=1, cutoff=0.5)
        hint = f"; did you mean {nearest[0]!r}?" if nearest else "."
        raise UnknownLessonError(
            f"no lesson is called {name!r}{hint} The lessons are {', '.join(NAMES)}"
        )
    return import_module(f"jax_rnn.lessons.{name}").lesson
