"""Recall the first symbol of a sequence, in JAX."""

from dataclasses import replace

import numpy as np
from flax import nnx
from rnn_lecture.recall_facts import RECALL

from jax_rnn import Embedding, Linear
from jax_rnn.lecture.teaching.lesson import DataSetLesson, cross_entropy
from jax_rnn.lecture.teaching.parts import recurrent
from rnn_lecture.recipe import Recipe


class Model(nnx.Module):
    def __init__(
        self, cell, symbols, embedding_size, hidden_size, num_layers, dropout=0.0, **options
    ):
        self.embedding = Embedding(symbols, embedding_size, **options)
        self.rnn = recurrent(cell, embedding_size, hidden_size, num_layers, dropout, **options)
        self.linear = Linear(hidden_size, symbols, **options)

    def __call__(self, inputs):
        h, _ = self.rnn(self.embedding(inputs))
        return self.linear(h[:, -1])


def loss(model, batch):
    return cross_entropy(model(batch["inputs"]), batch["labels"]).mean(), {}


def evaluate(model, data):
    return {"loss": float(loss(model, data.held_out)[0])}


def respond(model, vocabulary, prompt, sampling):
    symbols = vocabulary["symbols"]
    ids = np.array([[symbols.index(letter) for letter in prompt]])
    yield symbols[int(model(ids).argmax())]


RECIPE = Recipe(
    embedding_size=4, hidden_size=7, batch_size=6, steps=8, learning_rate=0.02, evaluate_every=4
)

lesson = DataSetLesson(
    facts=RECALL,
    model=Model,
    loss=loss,
    evaluate=evaluate,
    respond=respond,
    recipe=RECIPE,
    presets={"rnn": replace(RECIPE, cell="rnn", learning_rate=2e-3)},
)
