"""Exercise 11-1: a softmax classifier for hihell -> ihello. Why does it not work?

It sees only the current letter. In hihell -> ihello the letter h is followed once by i and once by
e, and l once by l and once by o. At four of six positions the best prediction is 1/2 for each, so
the loss cannot fall below 4 ln 2 / 6 = 0.46210 and the accuracy cannot exceed 4/6.
"""

from collections.abc import Iterator

import jax
import numpy as np
from flax import nnx

from jax_rnn.base.initializers import Init
from jax_rnn.base.typing import default_float
from jax_rnn.layers.feedforward import Linear
from jax_rnn.lecture.teaching.words import WordLesson
from rnn_lecture import words


class Model(nnx.Module):
    def __init__(self, *, init: Init = "torch", rngs: nnx.Rngs):
        self.linear = Linear(5, 5, init=init, rngs=rngs)

    def __call__(self, inputs, hidden=None):
        return self.linear(inputs), None


def explain(model: Model) -> Iterator[str]:
    logits, _ = model(np.eye(5, dtype=default_float()))
    yield "Why does it not work? It sees one letter. Its predictions of the next one:"
    for letter, row in zip("hiel", np.asarray(jax.nn.softmax(logits)), strict=False):
        likely = [f"{lesson.symbols[k]} {row[k]:.3f}" for k in np.argsort(-row) if row[k] > 0.05]
        yield f"  after {letter}: " + ", ".join(likely)
    loss, metrics = lesson.score(model, lesson.batch())
    yield f"  loss {loss:.5f}, never below 4 ln 2 / 6 = {words.one_letter_bounds().loss:.5f}"
    yield f"  letters correct {metrics['accuracy'] * 6:.0f} of 6, never above 4"


lesson = WordLesson.of(words.SOFTMAX, model=Model, explain=explain)
