"""Conversion of cells from and to Equinox.

| equinox.nn | jax_rnn | order of gates in both | biases of Equinox |
| --- | --- | --- | --- |
| ``LSTMCell`` | ``LSTMCell`` | i f g o | one: ``bias_ih``, and zero as ``bias_hh`` |
| ``GRUCell`` | ``GRUCell`` | r z n | ``bias``: ``bias_ih``; ``bias_n``: b_hn, the rest is zero |

Weights have the same layout. The state of LSTM is (h, c) in both.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from jax_rnn.base.extras import optional
from jax_rnn.base.typing import describe
from jax_rnn.cells.gru import GRUCell
from jax_rnn.cells.lstm import LSTMCell

__all__ = ["from_equinox", "to_equinox"]

KINDS = {"LSTMCell": LSTMCell, "GRUCell": GRUCell}


def from_equinox(cell: Any) -> LSTMCell | GRUCell:
    """Convert ``equinox.nn.LSTMCell`` or ``GRUCell`` to the cell with the same outputs.

    Args:
        cell: an instance of one of these classes.

    Returns:
        A new cell with copies of the weights, in their dtype.

    Raises:
        TypeError: any other module.
    """
    name = type(cell).__name__
    if not type(cell).__module__.startswith("equinox.") or name not in KINDS:
        raise TypeError(
            f"from_equinox: expected equinox.nn.LSTMCell or GRUCell, got {describe(cell)}"
        )
    ours: Any = KINDS[name](
        cell.input_size,
        cell.hidden_size,
        cell.use_bias,
        dtype=cell.weight_ih.dtype,
        rngs=nnx.Rngs(0),
    )
    ours.weight_ih[...], ours.weight_hh[...] = cell.weight_ih, cell.weight_hh
    if cell.use_bias:
        ours.bias_ih[...] = cell.bias
        hidden = jnp.zeros_like(cell.bias)
        if name == "GRUCell":
            hidden = hidden.at[2 * cell.hidden_size :].set(cell.bias_n)
        ours.bias_hh[...] = hidden
    return ours


def to_equinox(cell: LSTMCell | GRUCell) -> Any:
    """Convert ``LSTMCell`` or ``GRUCell`` to the cell of Equinox with the same outputs.

    Args:
        cell: the cell, with one head.

    Returns:
        A new cell with copies of the weights, in their dtype. Both biases are added, but for b_hn.

    Raises:
        TypeError: any other module. ValueError: several heads. ModuleNotFoundError: Equinox is not
            installed.
    """
    name = type(cell).__name__
    if type(cell) not in KINDS.values():
        raise TypeError(f"to_equinox: expected LSTMCell or GRUCell, got {describe(cell)}")
    if cell.heads != 1:
        raise ValueError(
            f"to_equinox: expected a cell with heads=1, got heads={cell.heads}; Equinox's cells "
            "have dense hidden maps"
        )
    kind, ours = getattr(optional("equinox.nn"), name), cell
    size, key = cell.hidden_size, jax.random.key(0)
    theirs = kind(cell.input_size, size, cell.bias, cell.dtype, key=key)
    values: dict[str, Any] = {"weight_ih": ours.weight_ih[...], "weight_hh": ours.weight_hh[...]}
    if ours.bias_ih is not None and ours.bias_hh is not None:
        bias, hidden = ours.bias_ih[...], ours.bias_hh[...]
        if name == "GRUCell":
            values["bias_n"] = hidden[2 * size :]
            hidden = hidden.at[2 * size :].set(0)
        values["bias"] = bias + hidden
    names = tuple(values)
    return optional("equinox").tree_at(
        lambda tree: [getattr(tree, name) for name in names], theirs, [*values.values()]
    )
