"""The definition of a lesson on a word or a sentence: facts, a model, and the answer to a question.

Axes: B (batch), T (time), I (input size), H (hidden size).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from torch import nn

from rnn_lecture.words import Words


def no_explanation(model: nn.Module) -> Iterable[str]:
    return ()


@dataclass(frozen=True, eq=False, kw_only=True)
class Lesson(Words):
    """One program of the lecture; its facts are those of `Words`.

    A model is called as `model(inputs, hidden=None)` and returns `(logits, hidden)`, logits
    being (B, T, classes).
    """

    model: Callable[[], nn.Module]
    """Builds the model with torch's own initial weights, drawn from torch's global seed."""
    variants: Mapping[str, Callable[[], nn.Module]] = field(default_factory=dict)
    """Other models for the same data and hyperparameters."""
    explain: Callable[[nn.Module], Iterable[str]] = no_explanation
    """Lines to print after training: the answer to the slide's question."""
