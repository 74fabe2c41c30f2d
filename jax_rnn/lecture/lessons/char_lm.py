"""A character language model: predict the next character of a text."""

import math
from dataclasses import replace

import jax
import jax.numpy as jnp
from flax import nnx

from jax_rnn.cells.lstm import LSTMCarry
from jax_rnn.data.vocabulary import Vocabulary
from jax_rnn.layers.feedforward import Embedding, Linear
from jax_rnn.layers.torch_layers import LSTM
from jax_rnn.lecture.teaching.lesson import DataSetLesson, cross_entropy
from jax_rnn.lecture.teaching.parts import recurrent
from jax_rnn.lecture.teaching.sampling import stream
from rnn_lecture.char_lm import CHAR_LM, SLICE, side_by_side
from rnn_lecture.recipe import Recipe
from rnn_lecture.sampling import check_sampling


class Model(nnx.Module):
    """Embedding, recurrent layers, Linear.

    Call: ``logits, hidden = model(inputs, hidden=None, *, rngs=None)`` with inputs (B, T) symbols,
        logits (B, T, S), hidden (L, B, H), for LSTM a tuple (h, c) of them.

    ``options`` are ``init``, ``dtype`` and ``rngs`` of all parts.
    """

    def __init__(
        self, cell, symbols, embedding_size, hidden_size, num_layers=1, dropout=0.0, **options
    ):
        self.embedding = Embedding(symbols, embedding_size, **options)
        self.rnn = recurrent(cell, embedding_size, hidden_size, num_layers, dropout, **options)
        self.dropout = nnx.Dropout(dropout)
        self.linear = Linear(hidden_size, symbols, **options)

    def __call__(self, inputs, hidden=None, *, rngs=None):
        outputs, hidden = self.rnn(self.embedding(inputs), hidden, rngs=rngs)
        return self.linear(self.dropout(outputs, rngs=rngs)), hidden


def carry(model, batch_size):
    """Zeros (L, B, H) in the form of ``hidden``: the state before the first window."""
    shape = (model.rnn.num_layers, batch_size, model.rnn.hidden_size)
    h, c = (jnp.zeros(shape, model.rnn.dtype) for _ in range(2))
    return LSTMCarry(h, c) if isinstance(model.rnn, LSTM) else h


def loss(model, batch, *, carry, rngs=None):
    """Mean cross entropy, in nats per character; a stream that restarts resets its state."""
    hidden = jax.tree.map(
        lambda state: jnp.where(batch["fresh"][:, None], 0, state).astype(model.rnn.dtype),
        carry,
    )
    logits, hidden = model(batch["inputs"], hidden, rngs=rngs)
    hidden = jax.tree.map(lambda state, old: state.astype(old.dtype), hidden, carry)
    accuracy = (logits.argmax(-1) == batch["labels"]).mean()
    return cross_entropy(logits, batch["labels"]).mean(), {"accuracy": accuracy}, hidden


def evaluate(model, data):
    """Nats per character and derived figures, over the first ``HELD_OUT`` characters."""
    inputs, labels = side_by_side(data.held_out)
    hidden = carry(model, len(inputs))
    nats = right = 0.0
    for start in range(0, inputs.shape[1], SLICE):
        part = slice(start, start + SLICE)
        sums, hidden = score(model, inputs[:, part], labels[:, part], hidden)
        nats += float(sums[0])
        right += float(sums[1])
    count = int((labels >= 0).sum())
    loss = nats / count
    return {
        "loss": loss,
        "perplexity": math.exp(loss),
        "bits_per_character": loss / math.log(2),
        "accuracy": right / count,
    }


def respond(model, vocabulary, prompt, sampling):
    """The continuation of the prompt; an empty prompt is the start of a line."""
    check_sampling(sampling)
    known = Vocabulary(vocabulary["symbols"])
    start = "\n" if "\n" in known.symbols else known.symbols[0]
    ids = known.encode(prompt or start)
    pieces = stream(predict, model, model.rnn.initial_state(1), ids, sampling)
    return (known.decode(piece[0]) for piece in pieces)


@jax.jit
def score(model, inputs, labels, hidden):
    """Sums of nats and of correct predictions over the labelled steps, and the final state."""
    logits, hidden = model(inputs, hidden)
    valid = labels >= 0
    nats = cross_entropy(logits, jnp.where(valid, labels, 0))
    right = logits.argmax(-1) == labels
    return (jnp.where(valid, nats, 0).sum(), right.sum()), hidden


def predict(model, symbols, state):
    y, state = model.rnn.step(model.embedding(symbols), state)
    return model.linear(y), state


RECIPE = Recipe(
    cell="gru",
    embedding_size=64,
    hidden_size=256,
    batch_size=32,
    window=64,
    steps=1500,
    learning_rate=8e-3,
    warmup=50,
    schedule="cosine",
    evaluate_every=250,
)

lesson = DataSetLesson(
    facts=CHAR_LM,
    model=Model,
    loss=loss,
    carry=carry,
    evaluate=evaluate,
    respond=respond,
    recipe=RECIPE,
    presets={
        "quick": replace(RECIPE, hidden_size=128, steps=400, evaluate_every=100),
        "long": replace(
            RECIPE,
            embedding_size=128,
            hidden_size=512,
            dropout=0.3,
            steps=6000,
            learning_rate=4e-3,
            warmup=100,
            evaluate_every=500,
        ),
    },
)
