"""Parts that the programs of several lessons share."""

from collections.abc import Iterator, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx

from jax_rnn.base.typing import Array
from jax_rnn.cells.base import Cell
from jax_rnn.layers.feedforward import Linear
from jax_rnn.layers.recurrent import Recurrent
from jax_rnn.layers.torch_layers import GRU, LSTM, RNN
from jax_rnn.scans.runner import run

__all__ = [
    "LAYERS",
    "CellAndLinear",
    "equal_batches",
    "over_time",
    "recurrent",
]

LAYERS = {"rnn": RNN, "lstm": LSTM, "gru": GRU}


def recurrent(
    cell: str,
    input_size: int,
    hidden_size: int,
    num_layers: int = 1,
    dropout: float = 0.0,
    **options: Any,
) -> Recurrent:
    """Recurrent layers of a kind, ``"rnn"``, ``"lstm"`` or ``"gru"``, batch first.

    The other arguments are those of ``jax_rnn.GRU``; a single layer has no dropout.
    """
    dropout = dropout if num_layers > 1 else 0.0
    return LAYERS[cell](
        input_size, hidden_size, num_layers, batch_first=True, dropout=dropout, **options
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


def equal_batches(
    arrays: Mapping[str, np.ndarray], size: int
) -> Iterator[tuple[dict[str, np.ndarray], np.ndarray]]:
    """Batches of ``size`` rows of ``arrays`` in order, each with the weights of its rows.

    All batches have the same shape, so a function is compiled once: the last batch is filled with
    copies of its first row. The weights, float32 (size,), are 1 for rows of the data and 0 for
    copies. Fewer rows than ``size`` make one batch.
    """
    count = len(next(iter(arrays.values())))
    size = min(size, count)
    for start in range(0, count, size):
        rows = np.arange(start, start + size)
        places = np.where(rows < count, rows, start)
        batch = {name: array[places] for name, array in arrays.items()}
        yield batch, (rows < count).astype(np.float32)
