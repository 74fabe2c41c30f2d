"""One LSTM cell reads one letter.

Slide "One node: 4 (input_dim) in 2 (hidden_size)": the input is the letter h, one-hot over h e l o,
as (1, 1, 4), the output is (1, 1, 2). The initial state (h, c) is random.
"""

from collections.abc import Iterator
from typing import Any

from flax import nnx

from jax_rnn.base.initializers import Init
from jax_rnn.layers.torch_layers import LSTM
from jax_rnn.lecture.teaching.words import WordLesson
from rnn_lecture import words


class Model(nnx.Module):
    def __init__(self, *, init: Init = "torch", rngs: nnx.Rngs):
        self.lstm = LSTM(4, 2, batch_first=True, init=init, rngs=rngs)

    def __call__(self, inputs, hidden=None):
        return self.lstm(inputs, hidden)


def run(lesson: WordLesson, model: Model) -> tuple[Any, Any]:
    """The output and the final (h, c) for the lesson's inputs and initial state."""
    return model(*lesson.forward_arguments())


def explain(model: Model) -> Iterator[str]:
    _, (h, c) = run(lesson, model)
    yield f"hidden size {h.shape}, cell size {c.shape}: (layers * directions, batch, hidden)"


lesson = WordLesson.of(words.CELL, model=Model, explain=explain)
