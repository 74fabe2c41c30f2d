"""A character language model: predict the next character of a text."""

import math
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from jax_rnn.base.typing import accumulator
from jax_rnn.data.dataset import Data
from jax_rnn.data.vocabulary import Vocabulary
from jax_rnn.layers.feedforward import Embedding, Linear
from jax_rnn.lecture.teaching.lesson import Lesson
from jax_rnn.lecture.teaching.models import recurrent, sizes
from jax_rnn.lecture.teaching.sampling import fresh_state, stream
from rnn_lecture.char_lm import SLICE, CharLMFacts, side_by_side
from rnn_lecture.recipe import Recipe
from rnn_lecture.sampling import Sampling, check_sampling

__all__ = ["CharLM", "Model", "lesson"]


class Model(nnx.Module):
    """Embedding, recurrent layers, Linear.

    Call: ``logits, hidden = model(inputs, hidden=None, *, rngs=None)`` with inputs (B, T) symbols,
        logits (B, T, S), hidden (L, B, H), for LSTM a tuple (h, c) of them.

    Args:
        cell: ``"rnn"``, ``"lstm"`` or ``"gru"``.
        symbols: S, number of symbols.
        embedding_size: features of a symbol.
        hidden_size: H.
        num_layers: L.
        dropout: rate between layers and before the last map; training needs ``rngs``.
        options: ``init``, ``dtype`` and ``rngs`` of all parts.
    """

    def __init__(
        self,
        cell: Literal["rnn", "lstm", "gru"],
        symbols: int,
        embedding_size: int,
        hidden_size: int,
        num_layers: int = 1,
        dropout: float = 0.0,
        **options: Any,
    ):
        self.embedding = Embedding(symbols, embedding_size, **options)
        self.rnn = recurrent(cell, embedding_size, hidden_size, num_layers, dropout, **options)
        self.dropout = nnx.Dropout(dropout)
        self.linear = Linear(hidden_size, symbols, **options)

    def __call__(self, inputs, hidden=None, *, rngs=None):
        outputs, hidden = self.rnn(self.embedding(inputs), hidden, rngs=rngs)
        return self.linear(self.dropout(outputs, rngs=rngs)), hidden


class CharLM(CharLMFacts, Lesson):
    model = Model

    def options(self, recipe: Recipe, vocabulary: Mapping[str, Any]) -> dict[str, Any]:
        return sizes(recipe) | {
            "symbols": len(vocabulary["symbols"]),
        }

    def carry(self, model: Model, batch_size: int) -> Any:
        return fresh_state(model.rnn, batch_size)

    def loss(self, model: Model, batch: Any, *, carry: Any, rngs: Any = None) -> Any:
        """Mean cross entropy, in nats per character; a stream that restarts resets its state."""
        hidden = jax.tree.map(
            lambda state: jnp.where(batch["fresh"][:, None], 0, state).astype(model.rnn.dtype),
            carry,
        )
        logits, hidden = model(batch["inputs"], hidden, rngs=rngs)
        logits = logits.astype(accumulator(logits.dtype))
        loss = optax.softmax_cross_entropy_with_integer_labels(logits, batch["labels"]).mean()
        accuracy = (logits.argmax(-1) == batch["labels"]).mean()
        hidden = jax.tree.map(lambda state, old: state.astype(old.dtype), hidden, carry)
        return loss, {"accuracy": accuracy}, hidden

    def evaluate(self, model: Model, data: Data) -> dict[str, float]:
        """Nats per character and derived figures, over the first ``HELD_OUT`` characters."""
        inputs, labels = side_by_side(data.held_out)
        hidden = self.carry(model, len(inputs))
        nats = right = 0.0
        for start in range(0, inputs.shape[1], SLICE):
            part = slice(start, start + SLICE)
            of_part, hidden = score(model, inputs[:, part], labels[:, part], hidden)
            nats += float(of_part[0])
            right += float(of_part[1])
        count = int((labels >= 0).sum())
        loss = nats / count
        return {
            "loss": loss,
            "perplexity": math.exp(loss),
            "bits_per_character": loss / math.log(2),
            "accuracy": right / count,
        }

    def respond(
        self, model: Model, vocabulary: Mapping[str, Any], prompt: str, sampling: Sampling
    ) -> Iterator[str]:
        """The continuation of the prompt; an empty prompt is the start of a line."""
        check_sampling(sampling)
        known = Vocabulary(vocabulary["symbols"])
        start = "\n" if "\n" in known.symbols else known.symbols[0]
        ids = known.encode(prompt or start)
        pieces = stream(predict, model, model.rnn.initial_state(1), ids, sampling)
        return (known.decode(piece[0]) for piece in pieces)


@jax.jit
def score(model: Model, inputs: Any, labels: Any, hidden: Any) -> tuple[Any, Any]:
    """Sums of nats and of correct predictions over the labelled steps, and the final state."""
    logits, hidden = model(inputs, hidden)
    valid = labels >= 0
    nats = optax.softmax_cross_entropy_with_integer_labels(logits, jnp.where(valid, labels, 0))
    right = logits.argmax(-1) == labels
    return (jnp.where(valid, nats, 0).sum(), right.sum()), hidden


def predict(model: Model, symbols: Any, state: Any) -> tuple[Any, Any]:
    y, state = model.rnn.step(model.embedding(symbols), state)
    return model.linear(y), state


lesson = CharLM()
