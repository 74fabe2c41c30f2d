"""One to many: generate a surname of a given language, letter by letter."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jax_rnn.data.vocabulary import Vocabulary
from jax_rnn.layers.feedforward import Embedding, Linear
from jax_rnn.lecture.teaching.lesson import DataSetLesson, cross_entropy
from jax_rnn.lecture.teaching.parts import recurrent
from jax_rnn.lecture.teaching.sampling import stream
from rnn_lecture.recipe import Recipe
from rnn_lecture.sampling import check_sampling
from rnn_lecture.surnames import EDGE, GENERATED, NAMES_GENERATE, language_number


class Model(nnx.Module):
    """Embedding of a symbol plus embedding of the language, recurrent layers, Linear.

    Call: ``logits, hidden = model(inputs, language, hidden=None, *, rngs=None)`` with inputs (B, T)
        symbols, language (B,), logits (B, T, S), hidden (L, B, H), for LSTM a tuple (h, c) of them.

    ``options`` are ``init``, ``dtype`` and ``rngs`` of all parts.
    """

    def __init__(
        self,
        cell,
        symbols,
        languages,
        embedding_size,
        hidden_size,
        num_layers=1,
        dropout=0.0,
        **options,
    ):
        self.embedding = Embedding(symbols, embedding_size, **options)
        self.language = Embedding(languages, embedding_size, **options)
        self.rnn = recurrent(cell, embedding_size, hidden_size, num_layers, dropout, **options)
        self.dropout = nnx.Dropout(dropout)
        self.linear = Linear(hidden_size, symbols, **options)

    def __call__(self, inputs, language, hidden=None, *, rngs=None):
        x = self.embedding(inputs) + self.language(language)[:, None]
        outputs, hidden = self.rnn(x, hidden, rngs=rngs)
        return self.linear(self.dropout(outputs, rngs=rngs)), hidden


def loss(model, batch, *, rngs=None):
    """Mean cross entropy over all letters and ends, in nats, without the padding."""
    logits, _ = model(batch["inputs"], batch["language"], rngs=rngs)
    nats, right, count = totals(logits, batch)
    return nats / count, {"accuracy": right / count}


def evaluate(model, data):
    """Nats per letter, counting the end of a name as a letter."""
    nats, right, count = map(float, score(model, data.held_out))
    return {
        "loss": nats / count,
        "perplexity": math.exp(nats / count),
        "accuracy": right / count,
    }


def respond(model, vocabulary, prompt, sampling):
    """Ten names for ``"Russian"``, one per line, or for ``"Russian:Ro"``, starting with Ro."""
    check_sampling(sampling)
    language, _, beginning = prompt.partition(":")
    known = Vocabulary(vocabulary["symbols"], first=1)
    ids = known.encode(beginning) if beginning else np.zeros(0, np.int32)
    number = language_number(language.strip(), vocabulary["languages"])
    return generate(model, known, number, beginning, ids, sampling)


def totals(logits, batch):
    """Sums of nats, correct predictions and symbols, without the padding."""
    labels = batch["labels"]
    valid = jnp.arange(labels.shape[1]) < batch["lengths"][:, None]
    nats = jnp.where(valid, cross_entropy(logits, labels), 0)
    right = (logits.argmax(-1) == labels) & valid
    return nats.sum(), right.sum(), valid.sum()


@jax.jit
def score(model, batch):
    logits, _ = model(batch["inputs"], batch["language"])
    return totals(logits, batch)


def predict(model, symbols, state):
    language, state = state
    x = model.embedding(symbols) + model.language(language)
    y, state = model.rnn.step(x, state)
    return model.linear(y), (language, state)


def generate(model, known, language, beginning, ids, sampling):
    """Names drawn as one batch, yielded once all of them have ended or reached the length."""
    state = jnp.full(GENERATED, language, jnp.int32), model.rnn.initial_state(GENERATED)
    prompt = np.concatenate([[EDGE], ids])
    drawn = np.zeros((GENERATED, 0), np.int32)
    for piece in stream(predict, model, state, prompt, sampling, rows=GENERATED, slice_length=24):
        drawn = np.concatenate([drawn, piece], axis=1)
        if (drawn == EDGE).any(1).all():
            break
    for row in drawn:
        end = np.append(row, EDGE).tolist().index(EDGE)
        yield f"{beginning}{known.decode(row[:end])}\n"


lesson = DataSetLesson(
    facts=NAMES_GENERATE,
    model=Model,
    loss=loss,
    evaluate=evaluate,
    respond=respond,
    recipe=Recipe(
        cell="gru",
        embedding_size=32,
        hidden_size=128,
        batch_size=64,
        steps=2000,
        learning_rate=3e-3,
        schedule="cosine",
        evaluate_every=250,
    ),
)
