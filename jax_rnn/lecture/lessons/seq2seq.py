r"""Many to many: translate a date in any common format to ISO 8601.

.. math::
    h_s &= \mathrm{GRU}(E[x_s], h_{s-1}) & s &= 1 \dots n \\
    d_t &= \mathrm{GRU}'(E'[y_{t-1}], d_{t-1}) & d_0 &= h_n \quad y_0 = \mathrm{START} \\
    logits_t &= W d_t + b

An encoder reads the n symbols of the source; the decoder gets only h_n from it. In training the
decoder reads the true previous symbol (teacher forcing), so one call of the layer runs over the
whole target. In translation it reads its own likeliest symbol, one step at a time, until every row
of the batch has produced END. The lecture tests ``top_i is EOS_token``, which compares an array
with a number by identity and is never true: its decoder always runs to the maximum length.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jax_rnn.data.dates import END, START
from jax_rnn.layers.decoding import decode
from jax_rnn.layers.feedforward import Embedding, Linear
from jax_rnn.lecture.teaching.lesson import DataSetLesson, cross_entropy
from jax_rnn.lecture.teaching.parts import equal_batches, recurrent
from rnn_lecture.recipe import Recipe
from rnn_lecture.sampling import check_sampling
from rnn_lecture.translation import SEQ2SEQ, vocabularies

AT_ONCE = 512
"""Number of pairs per call in an evaluation."""
SHOWN = 8
"""Number of pairs in a report."""


class Encoder(nnx.Module):
    """Embedding and recurrent layers.

    Call: ``outputs, hidden = encoder(sources, lengths, *, rngs=None)`` with sources (B, S), lengths
        (B,), outputs (B, S, H), hidden (L, B, H), for LSTM a tuple (h, c) of them.

    ``options`` are ``init``, ``dtype`` and ``rngs`` of all parts.
    """

    def __init__(
        self, cell, symbols, embedding_size, hidden_size, num_layers=1, dropout=0.0, **options
    ):
        self.embedding = Embedding(symbols, embedding_size, **options)
        self.rnn = recurrent(cell, embedding_size, hidden_size, num_layers, dropout, **options)

    def __call__(self, sources, lengths, *, rngs=None):
        return self.rnn(self.embedding(sources), lengths=lengths, rngs=rngs)


class Decoder(nnx.Module):
    """Embedding, recurrent layers, Linear.

    Call: ``logits, hidden = decoder(symbols, hidden, memory, *, rngs=None)`` with symbols (B, T),
        logits (B, T, V); ``memory`` is not used.

    ``options`` are ``init``, ``dtype`` and ``rngs`` of all parts.
    """

    def __init__(
        self, cell, symbols, embedding_size, hidden_size, num_layers=1, dropout=0.0, **options
    ):
        self.embedding = Embedding(symbols, embedding_size, **options)
        self.rnn = recurrent(cell, embedding_size, hidden_size, num_layers, dropout, **options)
        self.dropout = nnx.Dropout(dropout)
        self.linear = Linear(hidden_size, symbols, **options)

    def __call__(self, symbols, hidden, memory, *, rngs=None):
        outputs, hidden = self.rnn(self.embedding(symbols), hidden, rngs=rngs)
        return self.linear(self.dropout(outputs, rngs=rngs)), hidden


class Model(nnx.Module):
    """An encoder and a decoder with layers of the same kind and size.

    Call: ``logits = model(sources, lengths, targets, *, rngs=None)`` with sources (B, S), lengths
        (B,), targets (B, R), logits (B, R, V): those of ``targets[:, t]`` given all before it.

    ``sizes`` and ``options`` are those of ``Encoder`` and ``Decoder``.
    """

    decoder_type: type = Decoder

    def __init__(self, cell, source_symbols, target_symbols, *sizes, **options):
        self.encoder = Encoder(cell, source_symbols, *sizes, **options)
        self.decoder = self.decoder_type(cell, target_symbols, *sizes, **options)

    def __call__(self, sources, lengths, targets, *, rngs=None):
        memory, hidden = self.encode(sources, lengths, rngs=rngs)
        start = jnp.full_like(targets[:, :1], START)
        before = jnp.concatenate([start, targets[:, :-1]], axis=1)
        logits, _ = self.decoder(before, hidden, memory, rngs=rngs)
        return logits

    def encode(self, sources, lengths, *, rngs=None):
        """The memory and the initial state of the decoder."""
        outputs, hidden = self.encoder(sources, lengths, rngs=rngs)
        inside = jnp.arange(sources.shape[1]) < lengths[:, None]
        return (outputs, inside), hidden


def loss(model, batch, *, rngs=None):
    """Mean cross entropy over all symbols and ends, in nats, without the padding."""
    logits = model(batch["sources"], batch["lengths"], batch["targets"], rngs=rngs)
    valid = batch["targets"] != START
    right = (logits.argmax(-1) == batch["targets"]) & valid
    count = valid.sum()
    return nats(logits, batch["targets"]).sum() / count, {"accuracy": right.sum() / count}


def evaluate(model, data):
    """Nats per symbol with teacher forcing; accuracies of the greedy translation."""
    sums = np.zeros(4)
    for batch, counts in equal_batches(data.held_out, AT_ONCE):
        sums += np.asarray(totals(model, batch, counts), np.float64)
    nats, symbols, right, exact = sums.tolist()
    return {
        "loss": nats / symbols,
        "accuracy": right / symbols,
        "exact": exact / len(data.held_out["lengths"]),
    }


def respond(model, vocabulary, prompt, sampling):
    """The greedy translation; no random numbers are used."""
    check_sampling(sampling)
    source, target = vocabularies(vocabulary)
    ids = source.encode(prompt.strip())
    if not len(ids):
        raise ValueError('prompt: expected a date, got none; try "3rd of March 2021"')
    written = translate(model, ids[None], np.array([len(ids)]), sampling.length)
    return iter([target.decode(np.asarray(written)[0])])


def report(model, data, folder):
    """Some held-out sources and their translations."""
    rows = {name: array[:SHOWN] for name, array in data.held_out.items()}
    source, target = vocabularies(data.vocabulary)
    longest = rows["targets"].shape[1]
    written = np.asarray(translate(model, rows["sources"], rows["lengths"], longest))
    asked = [source.decode(ids) for ids in rows["sources"]]
    width = max(map(len, asked))
    yield "Held-out dates:"
    for text, ids, wanted in zip(asked, written, rows["targets"], strict=True):
        right = "" if (ids == wanted).all() else f"  (expected {target.decode(wanted)})"
        yield f"  {text:{width}}  {target.decode(ids)}{right}"


def nats(logits, targets):
    """Cross entropy of every symbol (B, R), zero in the padding."""
    return jnp.where(targets != START, cross_entropy(logits, targets), 0)


@partial(jax.jit, static_argnames="longest")
def translate(model, sources, lengths, longest):
    """Greedy decoding: symbols (B, longest), in each row END followed by zeros.

    The loop stops when all rows have ended, or after ``longest`` symbols.
    """
    memory, hidden = model.encode(sources, lengths)

    def step(symbols, hidden):
        logits, hidden = model.decoder(symbols[:, None], hidden, memory)
        return logits[:, 0], hidden

    start = jnp.full((1, sources.shape[0]), START, jnp.int32)
    return decode(step, hidden, start, longest, end=END, fill=START)[0].T


@jax.jit
def totals(model, batch, counts):
    """Weighted sums of nats, symbols, correct symbols and correct translations."""
    sources, lengths, targets = batch["sources"], batch["lengths"], batch["targets"]
    valid = targets != START
    written = translate(model, sources, lengths, targets.shape[1])
    sums = (
        nats(model(sources, lengths, targets), targets).sum(1),
        valid.sum(1),
        ((written == targets) & valid).sum(1),
        (written == targets).all(1),
    )
    return tuple((counts * of_row).sum() for of_row in sums)


lesson = DataSetLesson(
    facts=SEQ2SEQ,
    model=Model,
    loss=loss,
    evaluate=evaluate,
    respond=respond,
    report=report,
    recipe=Recipe(
        cell="gru",
        embedding_size=32,
        hidden_size=128,
        batch_size=64,
        steps=3000,
        learning_rate=3e-3,
        warmup=100,
        schedule="cosine",
        evaluate_every=250,
    ),
)
