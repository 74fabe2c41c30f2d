"""Conversion of cells from and to ``flax.nnx``.

| flax.nnx | jax_rnn | order of gates in both | Flax's one bias | carry in Flax |
| --- | --- | --- | --- | --- |
| ``LSTMCell`` | ``LSTMCell`` | i f g o, a Linear for each | ``bias_hh`` | (c, h) |
| ``OptimizedLSTMCell`` | ``LSTMCell`` | i f g o | ``bias_hh`` | (c, h) |
| ``GRUCell`` | ``GRUCell`` | r z n | ``bias_ih`` | h |
| ``SimpleCell`` | ``RNNCell`` | | ``bias_ih`` | h |

A Flax kernel is (in, gates * H), ours is its transpose, (gates * H, in). Flax has one bias where
torch has two: ``from_flax`` sets the other one to zero, and ``to_flax`` adds the two. Flax's
``GRUCell`` has no bias b_hn, which is scaled by the reset gate and cannot be merged with another.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jax_rnn.base.typing import Array, describe
from jax_rnn.cells.affine import AffineCell
from jax_rnn.cells.gru import GRUCell
from jax_rnn.cells.lstm import LSTMCell
from jax_rnn.cells.rnn import RNNCell

__all__ = ["from_flax", "to_flax"]

_OURS: dict[type, tuple[type[AffineCell], str]] = {
    nnx.LSTMCell: (LSTMCell, "bias_hh"),
    nnx.OptimizedLSTMCell: (LSTMCell, "bias_hh"),
    nnx.GRUCell: (GRUCell, "bias_ih"),
    nnx.SimpleCell: (RNNCell, "bias_ih"),
}
_FUNCTIONS = {"tanh": jnp.tanh, "relu": jax.nn.relu}


def from_flax(cell: nnx.Module) -> Any:
    """Convert a cell of ``flax.nnx`` to the cell of this library with the same outputs.

    ``nnx.LSTMCell`` and ``nnx.OptimizedLSTMCell`` become ``LSTMCell``, ``nnx.GRUCell`` becomes
    ``GRUCell`` with b_hn zero, ``nnx.SimpleCell`` becomes ``RNNCell``. Carries of LSTM are (h, c)
    here and (c, h) in Flax. The initializer of the carry (``carry_init``) is not converted.

    Args:
        cell: an instance of one of these classes.

    Returns:
        A new cell with copies of the weights, in their dtype.

    Raises:
        TypeError: any other module.
        ValueError: another activation than tanh and sigmoid (for ``SimpleCell`` tanh or relu),
            ``residual=True``, or a ``dtype`` other than that of the parameters.
    """
    if type(cell) not in _OURS:
        names = ", ".join(f"nnx.{kind.__name__}" for kind in _OURS)
        raise TypeError(f"from_flax: expected one of {names}, got {describe(cell)}")
    theirs: Any = cell
    kind, bias = _OURS[type(cell)]
    inputs, hidden = _linears(theirs)
    options = _checked_options(theirs)
    dtype = inputs[0].kernel.dtype
    size, features = theirs.in_features, theirs.hidden_features
    ours: Any = kind(size, features, dtype=dtype, rngs=nnx.Rngs(0), **options)
    ours.weight_ih[...] = _joined([linear.kernel[...].T for linear in inputs])
    ours.weight_hh[...] = _joined([linear.kernel[...].T for linear in hidden])
    biased = hidden if bias == "bias_hh" else inputs
    values = {bias: _joined([linear.bias[...] for linear in biased])}
    for name in ("bias_ih", "bias_hh"):
        parameter = getattr(ours, name)
        parameter[...] = values.get(name, jnp.zeros_like(parameter[...]))
    return ours


def to_flax(cell: AffineCell, *, optimized: bool = True) -> Any:
    """Convert a cell of this library to the cell of ``flax.nnx`` with the same outputs.

    ``LSTMCell`` becomes ``nnx.OptimizedLSTMCell``, ``GRUCell`` becomes ``nnx.GRUCell`` and
    ``RNNCell`` becomes ``nnx.SimpleCell``. The two biases are added; absent ones become zeros. In
    half precision Flax also rounds the sums and carries that are float32 here.

    Args:
        cell: an ``LSTMCell``, ``GRUCell`` or ``RNNCell``.
        optimized: False makes ``nnx.LSTMCell`` of an ``LSTMCell``, with a Linear for each gate.

    Returns:
        A new cell with copies of the weights, in their dtype.

    Raises:
        TypeError: any other module.
        ValueError: a ``GRUCell`` whose b_hn is not zero, since Flax's cell has no such bias; a cell
            with several heads.
    """
    kinds = {
        LSTMCell: nnx.OptimizedLSTMCell if optimized else nnx.LSTMCell,
        GRUCell: nnx.GRUCell,
        RNNCell: nnx.SimpleCell,
    }
    if type(cell) not in kinds:
        names = ", ".join(kind.__name__ for kind in kinds)
        raise TypeError(f"to_flax: expected one of {names}, got {describe(cell)}")
    if cell.heads != 1:
        raise ValueError(
            f"to_flax: expected a cell with heads=1, got heads={cell.heads}; Flax's cells have "
            "dense hidden maps"
        )
    ours: Any = cell
    options: dict[str, Any] = {"dtype": cell.dtype, "param_dtype": cell.dtype}
    if type(cell) is RNNCell:
        options["activation_fn"] = _FUNCTIONS[ours.nonlinearity]
    theirs: Any = kinds[type(cell)](cell.input_size, cell.hidden_size, rngs=nnx.Rngs(0), **options)
    inputs, hidden = _linears(theirs)
    biases = hidden if type(cell) is LSTMCell else inputs
    if type(cell) is GRUCell and cell.bias:
        lost = np.asarray(ours.bias_hh[...])[2 * cell.hidden_size :]
        if lost.any():
            raise ValueError(
                f"to_flax: expected b_hn, the last {cell.hidden_size} numbers of bias_hh, to be "
                f"zero, got up to {np.abs(lost).max():.3g}; nnx.GRUCell has no bias inside the "
                "reset, so its outputs would differ: set them to zero and continue training, or "
                "use this cell in nnx.RNN without conversion"
            )
    for linears, weight in ((inputs, ours.weight_ih), (hidden, ours.weight_hh)):
        for linear, rows in zip(linears, jnp.split(weight[...], len(linears)), strict=True):
            linear.kernel[...] = rows.T
    if cell.bias:
        bias = ours.bias_ih[...] + ours.bias_hh[...]
        for linear, rows in zip(biases, jnp.split(bias, len(biases)), strict=True):
            linear.bias[...] = rows
    return theirs


def _linears(cell: Any) -> tuple[list[Any], list[Any]]:
    """The maps of the input and of the hidden state, in the order of the gates."""
    if type(cell) is nnx.LSTMCell:
        return [cell.ii, cell.if_, cell.ig, cell.io], [cell.hi, cell.hf, cell.hg, cell.ho]
    return [cell.dense_i], [cell.dense_h]


def _checked_options(cell: Any) -> dict[str, Any]:
    """The options of the cell of this library. ValueError: an option without a counterpart."""
    name, options = f"nnx.{type(cell).__name__}", {}
    if type(cell) is nnx.SimpleCell:
        found = [word for word, function in _FUNCTIONS.items() if cell.activation_fn is function]
        if not found or cell.residual:
            raise ValueError(
                f"from_flax: expected {name} with activation_fn tanh or relu and residual=False, "
                f"got {cell.activation_fn} and residual={cell.residual}; this is not supported"
            )
        options["nonlinearity"] = found[0]
    elif cell.activation_fn is not jnp.tanh or cell.gate_fn is not jax.nn.sigmoid:
        raise ValueError(
            f"from_flax: expected {name} with activation_fn tanh and gate_fn sigmoid, "
            f"got {cell.activation_fn} and {cell.gate_fn}; this is not supported"
        )
    dtype = _linears(cell)[0][0].kernel.dtype
    if cell.dtype is not None and jnp.dtype(cell.dtype) != dtype:
        raise ValueError(
            f"from_flax: expected {name} to compute in the dtype of its parameters, {dtype}, "
            f"got dtype={jnp.dtype(cell.dtype)}; build it with dtype=param_dtype"
        )
    return options


def _joined(parts: list[Array]) -> Array:
    return jnp.concatenate(parts)
