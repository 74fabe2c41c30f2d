"""A character language model: predict the next character of a text."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from jax_rnn.data.files import fetch
from jax_rnn.data.text import Text, TextBatches, read_text
from jax_rnn.data.vocabulary import Vocabulary
from jax_rnn.feedforward import Embedding, Linear
from jax_rnn.initializers import Init
from jax_rnn.layers import GRU, LSTM, RNN
from jax_rnn.lessons.recipe import Recipe
from jax_rnn.lessons.sampling import check_sampling, fresh_state, stream
from jax_rnn.lessons.task import Sampling, Task
from jax_rnn.typing import DTypeLike, accumulator

__all__ = ["CharLM", "Model", "lesson"]

LAYERS = {"rnn": RNN, "lstm": LSTM, "gru": GRU}
HELD_OUT = 250_000
"""Maximum number of characters in an evaluation, which bounds its cost."""
STREAMS, SLICE = 32, 128
"""Number of streams of the held-out text, and number of steps per call."""


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
    """

    def __init__(
        self,
        cell: Literal["rnn", "lstm", "gru"],
        symbols: int,
        embedding_size: int,
        hidden_size: int,
        num_layers: int = 1,
        dropout: float = 0.0,
        *,
        init: Init = "torch",
        dtype: DTypeLike | None = None,
        rngs: nnx.Rngs,
    ):
        self.embedding = Embedding(symbols, embedding_size, init=init, dtype=dtype, rngs=rngs)
        self.rnn = LAYERS[cell](
            embedding_size,
            hidden_size,
            num_layers,
            batch_first=True,
            dropout=dropout if num_layers > 1 else 0.0,
            init=init,
            dtype=dtype,
            rngs=rngs,
        )
        self.dropout = nnx.Dropout(dropout)
        self.linear = Linear(hidden_size, symbols, init=init, dtype=dtype, rngs=rngs)

    def __call__(self, inputs, hidden=None, *, rngs=None):
        outputs, hidden = self.rnn(self.embedding(inputs), hidden, rngs=rngs)
        return self.linear(self.dropout(outputs, rngs=rngs)), hidden


class CharLM(Task[Text]):
    name = "char_lm"
    slide = "13_3"
    teaches = "A character language model whose state is carried from window to window."
    recipe = Recipe(
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
    recipes: ClassVar[Mapping[str, Recipe]] = {
        "quick": replace(recipe, hidden_size=128, steps=400, evaluate_every=100),
        "long": replace(
            recipe,
            embedding_size=128,
            hidden_size=512,
            dropout=0.3,
            steps=6000,
            learning_rate=4e-3,
            warmup=100,
            evaluate_every=500,
        ),
    }
    model = Model
    takes_text = True

    def read(self, recipe: Recipe, text: Path | None = None) -> Text:
        return read_text(fetch("tinyshakespeare.txt") if text is None else text)

    def options(self, recipe: Recipe, vocabulary: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "cell": recipe.cell,
            "symbols": len(vocabulary["symbols"]),
            "embedding_size": recipe.embedding_size,
            "hidden_size": recipe.hidden_size,
            "num_layers": recipe.num_layers,
            "dropout": recipe.dropout,
        }

    def batches(self, recipe: Recipe, data: Text) -> TextBatches:
        return TextBatches(data.train, recipe.batch_size, recipe.window)

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

    def evaluate(self, model: Model, data: Text) -> dict[str, float]:
        """Nats per character and derived figures, over the first 250,000 characters."""
        inputs, labels = side_by_side(data.held_out[: HELD_OUT + 1])
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
        pieces = stream(predict, model, self.carry(model, 1), ids, sampling)
        return (known.decode(piece[0]) for piece in pieces)


def side_by_side(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The text as B parallel streams: inputs and labels (B, T).

    B is at most 32 and T is a multiple of the slice; labels after the end of a stream are -1.
    Fewer than B characters at the end are left out.
    """
    if len(ids) < 2:
        raise ValueError(
            f"expected at least 2 held-out characters, got {len(ids)}; use a longer text"
        )
    count = min(max((len(ids) - 1) // SLICE, 1), STREAMS)
    length = (len(ids) - 1) // count
    padded = -(-length // SLICE) * SLICE
    inputs = np.zeros((count, padded), np.int32)
    labels = np.full((count, padded), -1, np.int32)
    inputs[:, :length] = ids[: count * length].reshape(count, length)
    labels[:, :length] = ids[1 : count * length + 1].reshape(count, length)
    return inputs, labels


@jax.jit
def score(model: Model, inputs: Any, labels: Any, hidden: Any) -> tuple[Any, Any]:
    """Sums of nats and of correct predictions over the labelled steps, and the final state."""
    logits, hidden = model(inputs, hidden)
    valid = labels >= 0
    nats = optax.softmax_cross_entropy_with_integer_labels(logits, jnp.where(valid, labels, 0))
    right = logits.argmax(-1) == labels
    return (jnp.where(valid, nats, 0).sum(), right.sum()), hidden


def predict(model: Model, symbols: Any, hidden: Any) -> tuple[Any, Any]:
    logits, hidden = model(symbols[:, None], hidden)
    return logits[:, 0], hidden


lesson = CharLM()
