"""One LSTM cell reads one letter.

Slide "One node: 4 (input_dim) in 2 (hidden_size)": the input is the letter h, one-hot over h e l o,
as (1, 1, 4), the output is (1, 1, 2). The initial state (h, c) is random.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from flax import nnx

from jax_rnn.initializers import Init
from jax_rnn.layers import LSTM
from jax_rnn.lessons.lesson import Lesson, encode, one_hot

SYMBOLS = "helo"


class Model(nnx.Module):
    def __init__(self, *, init: Init = "torch", rngs: nnx.Rngs):
        self.lstm = LSTM(4, 2, batch_first=True, init=init, rngs=rngs)

    def __call__(self, inputs, hidden=None):
        return self.lstm(inputs, hidden)


def run(lesson: Lesson, model: Model) -> tuple[Any, Any]:
    """The output and the final (h, c) for the lesson's inputs and initial state."""
    return model(*lesson.forward_arguments())


def explain(model: Model) -> Iterator[str]:
    _, (h, c) = run(lesson, model)
    yield f"hidden size {h.shape}, cell size {c.shape}: (layers * directions, batch, hidden)"


def lesson_on(
    words: list[str],
    *,
    name: str,
    slide: str,
    teaches: str,
    explain: Callable[[Model], Iterator[str]],
) -> Lesson:
    """The same cell on these words, with a random initial state."""
    hidden = np.random.default_rng(11).standard_normal((2, 1, len(words), 2)).astype(np.float32)
    return Lesson(
        name=name,
        slide=slide,
        teaches=teaches,
        symbols=SYMBOLS,
        inputs=one_hot(np.stack([encode(word, SYMBOLS) for word in words]), len(SYMBOLS)),
        labels=None,
        model=Model,
        hidden=tuple(hidden),
        epochs=0,
        explain=explain,
    )


lesson = lesson_on(
    ["h"],
    name="cell",
    slide="One node: 4 (input_dim) in 2 (hidden_size)",
    teaches="A cell maps an input and a state to an output and the next state.",
    explain=explain,
)
