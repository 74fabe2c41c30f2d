"""Conversion of parameters from and to Haiku.

| haiku | jax_rnn | what differs |
| --- | --- | --- |
| ``LSTM`` | ``LSTMCell`` | one map of (x, h); gates in the order i g f o; 1 is added to f |
| ``GRU`` | ``OriginalGRUCell`` | gates in the order z r n, z has the other sign; one bias |
| ``VanillaRNN`` | ``RNNCell(nonlinearity="relu")`` | names only |

Haiku's GRU resets the state before the product, so that it has no counterpart in ``GRUCell``. Its
parameters are a dict of modules, each a dict of arrays; Haiku itself is not needed.
"""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
from flax import nnx

from jax_rnn.base.typing import Array, describe
from jax_rnn.cells.literature.original_gru import OriginalGRUCell
from jax_rnn.cells.lstm import LSTMCell
from jax_rnn.cells.rnn import RNNCell

__all__ = ["from_haiku", "to_haiku"]


def from_haiku(params: Mapping[str, Mapping[str, Any]]) -> Any:
    """Convert the parameters of one recurrent core of Haiku to the cell with the same outputs.

    Args:
        params: modules of a ``haiku.LSTM``, ``GRU`` or ``VanillaRNN``, and no others, e.g.
            ``{"lstm/linear": {"w": ..., "b": ...}}``.

    Returns:
        A new ``LSTMCell``, ``OriginalGRUCell`` or ``RNNCell``, in the dtype of the parameters.

    Raises:
        ValueError: parameters of something else.
    """
    modules = [{k: jnp.asarray(v) for k, v in module.items()} for module in params.values()]
    if len(modules) == 1 and modules[0].keys() == {"w", "b"} and modules[0]["b"].size % 4 == 0:
        return _lstm(**modules[0])
    if len(modules) == 1 and modules[0].keys() == {"w_i", "w_h", "b"}:
        return _gru(**modules[0])
    if len(modules) == 2 and modules[0].keys() == {"w", "b"} and "w" in modules[1]:
        return _rnn(*modules)
    found = {name: {k: jnp.shape(v) for k, v in module.items()} for name, module in params.items()}
    raise ValueError(
        "from_haiku: expected the parameters of one haiku.LSTM (w, b), GRU (w_i, w_h, b) or "
        f"VanillaRNN (two linear modules), got {found}; pass those of one core, e.g. "
        '{name: module for name, module in params.items() if name.startswith("lstm")}'
    )


def to_haiku(cell: Any, name: str | None = None) -> dict[str, dict[str, Array]]:
    """Convert a cell to the parameters of Haiku's core with the same outputs.

    Args:
        cell: an ``LSTMCell``, ``OriginalGRUCell``, or ``RNNCell`` with relu, of one head.
        name: name of the core; None (default) is Haiku's, ``"lstm"``, ``"gru"`` or
            ``"vanilla_rnn"``.

    Returns:
        Modules with their parameters, for ``apply``; absent biases are zero, and both are added.

    Raises:
        TypeError: any other module. ValueError: several heads, or a tanh ``RNNCell``.
    """
    if type(cell) not in (LSTMCell, OriginalGRUCell, RNNCell):
        hint = "; haiku.GRU is OriginalGRUCell" if type(cell).__name__ == "GRUCell" else ""
        raise TypeError(
            f"to_haiku: expected LSTMCell, OriginalGRUCell or RNNCell, got {describe(cell)}{hint}"
        )
    if cell.heads != 1:
        raise ValueError(f"to_haiku: expected a cell with heads=1, got heads={cell.heads}")
    size = cell.hidden_size
    x, h = cell.weight_ih[...].T, cell.weight_hh[...].T
    bias = jnp.zeros(x.shape[1], x.dtype)
    if cell.bias:
        bias = cell.bias_ih[...] + cell.bias_hh[...]
    if type(cell) is LSTMCell:
        w, b = _i_g_f_o(jnp.concatenate([x, h])), _i_g_f_o(bias - _one(size, bias.dtype))
        return {f"{name or 'lstm'}/linear": {"w": w, "b": b}}
    if type(cell) is OriginalGRUCell:
        w_i, w_h, b = (_z_r_n(value) for value in (x, h, bias))
        return {name or "gru": {"w_i": w_i, "w_h": w_h, "b": b}}
    if cell.nonlinearity != "relu":
        raise ValueError(
            f"to_haiku: expected an RNNCell with relu, as haiku.VanillaRNN has, got "
            f"{cell.nonlinearity}"
        )
    name = name or "vanilla_rnn"
    zero = jnp.zeros_like(bias)
    return {f"{name}/linear": {"w": x, "b": bias}, f"{name}/linear_1": {"w": h, "b": zero}}


def _lstm(w: Array, b: Array) -> LSTMCell:
    size = b.size // 4
    cell = LSTMCell(w.shape[0] - size, size, dtype=w.dtype, rngs=nnx.Rngs(0))
    x, h = jnp.split(_i_g_f_o(w).T, [cell.input_size], axis=1)
    return _filled(cell, x, h, _i_g_f_o(b) + _one(size, b.dtype))


def _gru(w_i: Array, w_h: Array, b: Array) -> OriginalGRUCell:
    cell = OriginalGRUCell(w_i.shape[0], w_h.shape[0], dtype=w_i.dtype, rngs=nnx.Rngs(0))
    return _filled(cell, *(_r_z_n(value).T for value in (w_i, w_h, b)))


def _rnn(into: Mapping[str, Array], hidden: Mapping[str, Array]) -> RNNCell:
    w, b = into["w"], into["b"]
    cell = RNNCell(w.shape[0], w.shape[1], nonlinearity="relu", dtype=w.dtype, rngs=nnx.Rngs(0))
    return _filled(cell, w.T, hidden["w"].T, b, hidden.get("b"))


def _filled(cell: Any, x: Array, h: Array, bias: Array, hidden: Array | None = None) -> Any:
    cell.weight_ih[...], cell.weight_hh[...], cell.bias_ih[...] = x, h, bias
    cell.bias_hh[...] = jnp.zeros_like(bias) if hidden is None else hidden
    return cell


def _i_g_f_o(value: Array) -> Array:
    """From i f g o to i g f o, or back."""
    i, f, g, o = jnp.split(value, 4, axis=-1)
    return jnp.concatenate([i, g, f, o], -1)


def _z_r_n(value: Array) -> Array:
    """From r z n to z r n with the other sign of z."""
    r, z, n = jnp.split(value, 3, axis=-1)
    return jnp.concatenate([-z, r, n], -1)


def _r_z_n(value: Array) -> Array:
    """From z r n to r z n with the other sign of z."""
    z, r, n = jnp.split(value, 3, axis=-1)
    return jnp.concatenate([r, -z, n], -1)


def _one(size: int, dtype: Any) -> Array:
    """1 for the gate f of i f g o, which Haiku adds."""
    return jnp.zeros((4, size), dtype).at[1].set(1).reshape(-1)
