"""Recall the first symbol of a sequence, in JAX."""

import numpy as np
import optax
from flax import nnx
from rnn_lecture.recall_facts import RecallFacts

from jax_rnn import Embedding, Linear
from jax_rnn.lecture.teaching.lesson import Lesson
from jax_rnn.lecture.teaching.models import recurrent


class Model(nnx.Module):
    def __init__(self, cell, symbols, hidden_size, *, init="torch", dtype=None, rngs):
        self.embedding = Embedding(symbols, 4, dtype=dtype, rngs=rngs)
        self.rnn = recurrent(cell, 4, hidden_size, init=init, dtype=dtype, rngs=rngs)
        self.linear = Linear(hidden_size, symbols, init=init, dtype=dtype, rngs=rngs)

    def __call__(self, inputs):
        h, _ = self.rnn(self.embedding(inputs))
        return self.linear(h[:, -1])


class Recall(RecallFacts, Lesson):
    model = Model

    def options(self, recipe, vocabulary):
        sizes = {"cell": recipe.cell, "hidden_size": recipe.hidden_size}
        return sizes | {"symbols": len(vocabulary["symbols"])}

    def loss(self, model, batch, **more):
        logits = model(batch["inputs"])
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, batch["labels"])
        return losses.mean(), {}

    def evaluate(self, model, data):
        return {"loss": float(self.loss(model, data.held_out)[0])}

    def respond(self, model, vocabulary, prompt, sampling):
        symbols = vocabulary["symbols"]
        ids = np.array([[symbols.index(letter) for letter in prompt]])
        yield symbols[int(model(ids).argmax())]


lesson = Recall()
