"""Exercise 11-1: a softmax classifier for hihell -> ihello. Why does it not work?

It sees only the current letter. In hihell -> ihello the letter h is followed once by i and once by
e, and l once by l and once by o. At four of six positions the best prediction is 1/2 for each, so
the loss cannot fall below 4 ln 2 / 6 = 0.46210 and the accuracy cannot exceed 4/6.
"""

import jax
import numpy as np
from flax import nnx

from jax_rnn.base.typing import default_float
from jax_rnn.layers.feedforward import Linear
from jax_rnn.lecture.teaching.lesson import cross_entropy
from jax_rnn.lecture.teaching.words import WordLesson
from rnn_lecture import words
from rnn_lecture.recipe import WordRecipe


class Model(nnx.Module):
    def __init__(self, **options):
        self.linear = Linear(5, 5, **options)

    def __call__(self, inputs, hidden=None):
        return self.linear(inputs), None


def loss(model, batch):
    logits, _ = model(batch["inputs"])
    return cross_entropy(logits, batch["labels"]).mean(), {"prediction": logits.argmax(-1)}


def explain(model):
    logits, _ = model(np.eye(5, dtype=default_float()))
    yield "Why does it not work? It sees only one letter. Its predictions of the next one:"
    for letter, row in zip("hiel", np.asarray(jax.nn.softmax(logits)), strict=False):
        likely = [f"{'hielo'[k]} {row[k]:.3f}" for k in np.argsort(-row) if row[k] > 0.05]
        yield f"  after {letter}: " + ", ".join(likely)
    found, metrics = lesson.score(model, lesson.batch())
    yield "This model, and the bounds for any model that sees only one letter:"
    yield f"  loss {found:.5f} (lower bound 4 ln 2 / 6 = {words.one_letter_bounds().loss:.5f})"
    yield f"  {metrics['accuracy'] * 6:.0f} of 6 letters correct (upper bound 4)"


lesson = WordLesson(
    facts=words.SOFTMAX,
    model=Model,
    loss=loss,
    recipe=WordRecipe(learning_rate=0.1, steps=100),
    explain=explain,
)
