"""Parts that the models of several lessons share."""

from typing import Any

import jax.numpy as jnp
from flax import nnx

from jax_rnn.base.typing import Array
from jax_rnn.cells.base import Cell
from jax_rnn.layers.feedforward import Linear
from jax_rnn.layers.recurrent import Recurrent
from jax_rnn.layers.torch_layers import GRU, LSTM, RNN
from jax_rnn.scans.runner import run
from rnn_lecture.recipe import Recipe

__all__ = ["LAYERS", "CellAndLinear", "over_time", "recurrent", "sizes"]

LAYERS = {"rnn": RNN, "lstm": LSTM, "gru": GRU}


def recurrent(
    cell: str,
    input_size: int,
    hidden_size: int,
    num_layers: int = 1,
    dropout: float = 0.0,
    **options: Any,
) -> Recurrent:
    """Recurrent layers of a kind, batch first, with dropout between them.

    Args:
        cell: ``"rnn"``, ``"lstm"`` or ``"gru"``.
        input_size, hidden_size, num_layers: as for ``jax_rnn.GRU``.
        dropout: rate between layers; a single layer has none.
        options: further arguments of the layer, ``init``, ``dtype`` and ``rngs`` among them.
    """
    return LAYERS[cell](
        input_size,
        hidden_size,
        num_layers,
        batch_first=True,
        dropout=dropout if num_layers > 1 else 0.0,
        **options,
    )


def over_time(cell: Cell, inputs: Array, hidden: Any = None) -> tuple[Array, Any]:
    """The outputs (B, T, O) of a cell that reads (B, T, I) step by step, and its last carry."""
    xs = jnp.swapaxes(inputs, 0, 1)
    hidden = cell.initialize_carry(xs.shape[1:]) if hidden is None else hidden
    hidden, outputs = run(cell, hidden, xs, scan="sequential")
    return jnp.swapaxes(outputs, 0, 1), hidden


class CellAndLinear(nnx.Module):
    """A cell of a lesson, which runs step by step, and Linear on its outputs.

    Call: ``logits, hidden = model(inputs, hidden=None)`` with inputs (B, T, I).
    """

    cell: Any
    linear: Linear

    def states(self, inputs, hidden=None):
        return over_time(self.cell, inputs, hidden)

    def __call__(self, inputs, hidden=None):
        states, hidden = self.states(inputs, hidden)
        return self.linear(states), hidden


def sizes(recipe: Recipe) -> dict[str, Any]:
    """The arguments of a model that a recipe sets."""
    names = ("cell", "embedding_size", "hidden_size", "num_layers", "dropout")
    return {name: getattr(recipe, name) for name in names}
