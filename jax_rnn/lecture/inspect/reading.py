"""A model of a lesson reads a text: the cell of one layer, and the inputs that it gets."""

import copy
from typing import Any, NamedTuple

import jax.numpy as jnp

from jax_rnn.base.errors import ArgumentError
from jax_rnn.base.typing import Array
from jax_rnn.cells.base import Cell
from jax_rnn.data.vocabulary import Vocabulary
from jax_rnn.layers.recurrent import Recurrent
from jax_rnn.lecture.teaching.training import OpenRun
from jax_rnn.lecture.teaching.words import WordLesson
from jax_rnn.scans.runner import run

__all__ = ["LONGEST", "Reading", "check_lesson", "check_prompt", "own_text", "read"]

LONGEST = 500
"""Maximum number of letters of a text."""

OWN_LENGTH = 200
"""Letters of the lesson's own text that are read without a prompt."""


class Reading(NamedTuple):
    """A cell, and what it reads.

    Attributes:
        cell: the cell of a layer.
        inputs: its inputs, (T, 1, I).
        layers: number of recurrent layers of the model.
    """

    cell: Cell
    inputs: Array
    layers: int


def check_lesson(opened: OpenRun) -> None:
    """Check that the lesson reads text. ArgumentError: another lesson."""
    lesson = opened.lesson
    if not (isinstance(lesson, WordLesson) or lesson.takes_text):
        raise ArgumentError(
            "run",
            "expected a run of char_lm or of a lesson on a word or a sentence, e.g. ihello, got "
            f"one of {lesson.name}",
        )


def check_prompt(prompt: str, symbols: str) -> None:
    """Check a text. ArgumentError: it is empty or too long, or has a letter unknown to the run."""
    if not 1 <= len(prompt) <= LONGEST:
        got = f"{len(prompt):,}" if prompt else "none"
        raise ArgumentError("prompt", f"expected 1 to {LONGEST} letters, got {got}")
    unknown = sorted(set(prompt) - set(symbols))
    if unknown:
        raise ArgumentError(
            "prompt",
            f"expected only letters among {symbols!r}, on which the run was trained, got "
            f"{', '.join(map(repr, unknown))}",
        )


def own_text(opened: OpenRun) -> str:
    """The text of the lesson: what it is trained to read, or the start of the held-out text.

    Raises:
        ArgumentError: the text of the run has changed. OSError: it cannot be read.
    """
    lesson = opened.lesson
    if isinstance(lesson, WordLesson):
        inputs = lesson.facts.inputs
        return lesson.facts.text(inputs if inputs.ndim == 2 else inputs.argmax(-1))
    try:
        held_out = opened.data().held_out
    except ArgumentError as error:
        reason = f"expected a text to read, got none, and that of the run: {error.reason}"
        raise ArgumentError("prompt", reason) from error
    return Vocabulary(opened.vocabulary["symbols"]).decode(held_out[:OWN_LENGTH])


def read(opened: OpenRun, model: Any, prompt: str, layer: int) -> Reading:
    """Run the model over a text that is checked.

    Args:
        opened: the run.
        model: its model.
        prompt: the text.
        layer: number of the recurrent layer, from 0.

    Raises:
        ArgumentError: a model without recurrent layers, or of another number of them.
    """
    if isinstance(opened.lesson, WordLesson):
        inputs = opened.lesson.encode(prompt)
    else:
        inputs = Vocabulary(opened.vocabulary["symbols"]).encode(prompt)[None]
    cells, x = _cells_of(model, inputs)
    if not cells:
        raise ArgumentError(
            "run",
            f"expected a lesson with a recurrent layer, got {opened.lesson.name}, which has none",
        )
    if not 0 <= layer < len(cells):
        last = len(cells) - 1
        raise ArgumentError("layer", f"expected {f'0 to {last}' if last else 0}, got {layer}")
    for cell in cells[:layer]:
        _, x = run(cell, cell.initialize_carry(x.shape[1:]), x)
    return Reading(cells[layer], x, len(cells))


class _Watched:
    """A layer that keeps its inputs."""

    def __init__(self, layer: Recurrent):
        self.layer, self.inputs = layer, []

    def __call__(self, x: Any, *more: Any, **options: Any) -> Any:
        self.inputs.append(x)
        return self.layer(x, *more, **options)


def _cells_of(model: Any, inputs: Any) -> tuple[list[Cell], Any]:
    """The cells of the recurrent layers, and the inputs of the lowest, time-major."""
    if isinstance(getattr(model, "cell", None), Cell):  # the lessons with equations by hand
        return [model.cell], jnp.swapaxes(inputs, 0, 1)
    for name, layer in vars(model).items():
        if isinstance(layer, Recurrent) and not layer.bidirectional:
            copied, watched = copy.copy(model), _Watched(layer)
            vars(copied)[name] = watched
            copied(inputs)
            x = jnp.concatenate(watched.inputs, 1)  # a lesson calls it once for each letter
            return [cell for cell in layer.cells if cell], jnp.swapaxes(x, 0, 1)
    return [], None
