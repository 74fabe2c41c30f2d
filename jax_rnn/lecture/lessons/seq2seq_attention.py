r"""Many to many with attention: the decoder attends to every symbol of the source.

.. math::
    d_t &= \mathrm{GRU}'(E'[y_{t-1}], d_{t-1}) \\
    e_{ts} &= d_t^\top W_a h_s / \sqrt H \\
    a_{ts} &= \exp(e_{ts}) \Big/ \sum_{s'=1}^{n} \exp(e_{ts'}) \\
    c_t &= \sum_{s=1}^{n} a_{ts} h_s \\
    \tilde d_t &= \tanh(W_c [c_t; d_t]) \qquad logits_t = W \tilde d_t + b

h_s are the encoder's outputs, d_t the decoder's, as in ``seq2seq``. The sums are over the n symbols
of the source; padding has weight 0. No step reads the previous context, so in training one call of
the layer still runs over the whole target, and its attention is three matrix products.

Source: M.-T. Luong et al., "Effective approaches to attention-based neural machine translation",
2015, the "general" score, without input feeding. The root is from A. Vaswani et al., "Attention is
all you need", 2017: with larger scores the softmax of some runs saturates at a wrong symbol early
in training and does not recover.
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jax_rnn.base.extras import optional
from jax_rnn.base.storage import replacing
from jax_rnn.base.typing import accumulator
from jax_rnn.data.dates import END, START
from jax_rnn.layers.feedforward import Embedding, Linear
from jax_rnn.lecture.lessons import seq2seq
from jax_rnn.lecture.lessons.seq2seq import evaluate, loss, respond, translate
from jax_rnn.lecture.teaching.lesson import DataSetLesson
from jax_rnn.lecture.teaching.parts import recurrent
from rnn_lecture.recipe import Recipe
from rnn_lecture.translation import SEQ2SEQ_ATTENTION, vocabularies


class Attention(nnx.Module):
    """Luong's attention with the general score, divided by the root of its size.

    Call: ``attended, shares = attention(queries, outputs, inside)`` with queries (B, R, H), outputs
        (B, S, H), inside (B, S) true where a source has a symbol; attended (B, R, H), shares
        (B, R, S), each row of which sums to 1.
    """

    def __init__(self, hidden_size, **options):
        self.score = Linear(hidden_size, hidden_size, bias=False, **options)
        self.combine = Linear(2 * hidden_size, hidden_size, bias=False, **options)

    def __call__(self, queries, outputs, inside):
        scores = jnp.einsum("brh,bsh->brs", queries, self.score(outputs))
        scores /= queries.shape[-1] ** 0.5
        scores = scores.astype(accumulator(scores.dtype))
        shares = jax.nn.softmax(jnp.where(inside[:, None], scores, -jnp.inf), axis=-1)
        context = jnp.einsum("brs,bsh->brh", shares.astype(outputs.dtype), outputs)
        return jnp.tanh(self.combine(jnp.concatenate([context, queries], axis=-1))), shares


class AttentionDecoder(nnx.Module):
    """Embedding, recurrent layers, attention, Linear.

    Call: ``logits, hidden = decoder(symbols, hidden, memory, *, rngs=None)`` with symbols (B, T),
        logits (B, T, V), memory (outputs (B, S, H), inside (B, S)) of the encoder.

    ``options`` are ``init``, ``dtype`` and ``rngs`` of all parts.
    """

    def __init__(
        self, cell, symbols, embedding_size, hidden_size, num_layers=1, dropout=0.0, **options
    ):
        self.embedding = Embedding(symbols, embedding_size, **options)
        self.rnn = recurrent(cell, embedding_size, hidden_size, num_layers, dropout, **options)
        self.attention = Attention(hidden_size, **options)
        self.dropout = nnx.Dropout(dropout)
        self.linear = Linear(hidden_size, symbols, **options)

    def __call__(self, symbols, hidden, memory, *, rngs=None):
        queries, hidden = self.rnn(self.embedding(symbols), hidden, rngs=rngs)
        attended, _ = self.attention(queries, *memory)
        return self.linear(self.dropout(attended, rngs=rngs)), hidden


class Model(seq2seq.Model):
    """``seq2seq.Model`` whose decoder attends to all outputs of the encoder."""

    decoder_type = AttentionDecoder

    def shares(self, sources, lengths, targets):
        """Attention weights of all target symbols over all source symbols: (B, R, S)."""
        memory, hidden = self.encode(sources, lengths)
        start = jnp.full_like(targets[:, :1], START)
        before = jnp.concatenate([start, targets[:, :-1]], axis=1)
        queries, _ = self.decoder.rnn(self.decoder.embedding(before), hidden)
        return self.decoder.attention(queries, *memory)[1]


def report(model, data, folder):
    """Some held-out sources, their translations, and a plot of the attention weights."""
    yield from seq2seq.report(model, data, folder)
    yield plot_attention(model, data, folder / "attention.png")


def plot_attention(model, data, path):
    """Plot the attention weights for the first held-out sources of different lengths."""
    try:
        figure = optional("matplotlib.figure").Figure(figsize=(9, 9), layout="constrained")
    except ModuleNotFoundError as error:
        return f"{path.name} is not written: {error}"
    _, chosen = np.unique(data.held_out["lengths"], return_index=True)
    rows = {name: array[chosen[[0, len(chosen) // 2, -1]]] for name, array in data.held_out.items()}
    sources, lengths = rows["sources"], rows["lengths"]
    written = translate(model, sources, lengths, rows["targets"].shape[1])
    shares = np.asarray(jax.jit(Model.shares)(model, sources, lengths, written), np.float32)
    source, target = vocabularies(data.vocabulary)

    for axes, ids, length, answer, seen in zip(
        figure.subplots(len(sources)), sources, lengths, np.asarray(written), shares, strict=True
    ):
        names = [target.decode([i]) if i > END else "end" for i in answer if i != START]
        axes.imshow(seen[: len(names), :length], cmap="Blues", vmin=0, vmax=1)
        axes.set_xticks(range(length), list(source.decode(ids)))
        axes.set_yticks(range(len(names)), names)
        axes.set(xlabel="source", ylabel="output")
    with replacing(path) as file:
        figure.savefig(file, format="png", dpi=150)
    return f"attention weights: {path}"


lesson = DataSetLesson(
    facts=SEQ2SEQ_ATTENTION,
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
        steps=2000,
        learning_rate=2e-3,
        warmup=100,
        schedule="cosine",
        evaluate_every=250,
    ),
)
