"""One to many: generate a surname of a given language, letter by letter."""

import math
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from jax_rnn.base.typing import accumulator
from jax_rnn.data.dataset import Data
from jax_rnn.data.vocabulary import Vocabulary
from jax_rnn.layers.feedforward import Embedding, Linear
from jax_rnn.lecture.teaching.lesson import Lesson
from jax_rnn.lecture.teaching.models import recurrent, sizes
from jax_rnn.lecture.teaching.sampling import stream
from rnn_lecture.recipe import Recipe
from rnn_lecture.sampling import Sampling, check_sampling
from rnn_lecture.surnames import DRAWN, EDGE, NamesGenerateFacts, language_number

__all__ = ["Model", "NamesGenerate", "lesson"]


class Model(nnx.Module):
    """Embedding of a symbol plus embedding of the language, recurrent layers, Linear.

    Call: ``logits, hidden = model(inputs, language, hidden=None, *, rngs=None)`` with inputs (B, T)
        symbols, language (B,), logits (B, T, S), hidden (L, B, H), for LSTM a tuple (h, c) of them.

    Args:
        cell: ``"rnn"``, ``"lstm"`` or ``"gru"``.
        symbols: S, number of letters and EDGE.
        languages: number of languages.
        embedding_size: features of a symbol and of a language.
        hidden_size: H.
        num_layers: L.
        dropout: rate between layers and before the last map; training needs ``rngs``.
        options: ``init``, ``dtype`` and ``rngs`` of all parts.
    """

    def __init__(
        self,
        cell: Literal["rnn", "lstm", "gru"],
        symbols: int,
        languages: int,
        embedding_size: int,
        hidden_size: int,
        num_layers: int = 1,
        dropout: float = 0.0,
        **options: Any,
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


class NamesGenerate(NamesGenerateFacts, Lesson):
    model = Model

    def options(self, recipe: Recipe, vocabulary: Mapping[str, Any]) -> dict[str, Any]:
        return sizes(recipe) | {
            "symbols": len(vocabulary["symbols"]) + 1,
            "languages": len(vocabulary["languages"]),
        }

    def loss(self, model: Model, batch: Any, *, rngs: Any = None) -> Any:
        """Mean cross entropy over all letters and ends, in nats, without the padding."""
        logits, _ = model(batch["inputs"], batch["language"], rngs=rngs)
        nats, right, count = totals(logits, batch)
        return nats / count, {"accuracy": right / count}

    def evaluate(self, model: Model, data: Data) -> dict[str, float]:
        """Nats per letter, counting the end of a name as a letter."""
        nats, right, count = map(float, score(model, data.held_out))
        return {
            "loss": nats / count,
            "perplexity": math.exp(nats / count),
            "accuracy": right / count,
        }

    def respond(
        self, model: Model, vocabulary: Mapping[str, Any], prompt: str, sampling: Sampling
    ) -> Iterator[str]:
        """Ten names for ``"Russian"``, one per line, or for ``"Russian:Ro"``, starting with Ro."""
        check_sampling(sampling)
        language, _, beginning = prompt.partition(":")
        known = Vocabulary(vocabulary["symbols"], first=1)
        ids = known.encode(beginning) if beginning else np.zeros(0, np.int32)
        number = language_number(language.strip(), vocabulary["languages"])
        return draw_names(model, known, number, beginning, ids, sampling)


def totals(logits: Any, batch: Any) -> tuple[Any, Any, Any]:
    """Sums of nats, correct predictions and symbols, without the padding."""
    logits = logits.astype(accumulator(logits.dtype))
    labels = batch["labels"]
    valid = jnp.arange(labels.shape[1]) < batch["lengths"][:, None]
    nats = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
    right = (logits.argmax(-1) == labels) & valid
    return jnp.where(valid, nats, 0).sum(), right.sum(), valid.sum()


@jax.jit
def score(model: Model, batch: Any) -> tuple[Any, Any, Any]:
    logits, _ = model(batch["inputs"], batch["language"])
    return totals(logits, batch)


def predict(model: Model, symbols: Any, state: Any) -> tuple[Any, Any]:
    language, state = state
    x = model.embedding(symbols) + model.language(language)
    y, state = model.rnn.step(x, state)
    return model.linear(y), (language, state)


def draw_names(
    model: Model,
    known: Vocabulary,
    language: int,
    beginning: str,
    ids: np.ndarray,
    sampling: Sampling,
) -> Iterator[str]:
    """Names drawn as one batch, yielded once all of them have ended or reached the length."""
    state = jnp.full(DRAWN, language, jnp.int32), model.rnn.initial_state(DRAWN)
    prompt = np.concatenate([[EDGE], ids])
    drawn = np.zeros((DRAWN, 0), np.int32)
    for piece in stream(predict, model, state, prompt, sampling, rows=DRAWN, slice_length=24):
        drawn = np.concatenate([drawn, piece], axis=1)
        if (drawn == EDGE).any(1).all():
            break
    for row in drawn:
        end = np.append(row, EDGE).tolist().index(EDGE)
        yield f"{beginning}{known.decode(row[:end])}\n"


lesson = NamesGenerate()
