"""The long short-term memory cell."""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jax.nn import sigmoid

from jax_rnn.base.typing import Array, Float
from jax_rnn.cells.gated import GatedCell

__all__ = ["LSTMCarry", "LSTMCell"]


class LSTMCarry(NamedTuple):
    """Hidden state and cell state, in torch's order (Flax's own cell has c first)."""

    h: Float[Array, "*batch H"]
    c: Float[Array, "*batch H"]


class LSTMCell(GatedCell[LSTMCarry]):
    r"""Long short-term memory, with forget gate and without peepholes.

    .. math::
        i_t &= \sigma(W_{ii} x_t + b_{ii} + W_{hi} h_{t-1} + b_{hi}) \\
        f_t &= \sigma(W_{if} x_t + b_{if} + W_{hf} h_{t-1} + b_{hf}) \\
        g_t &= \tanh(W_{ig} x_t + b_{ig} + W_{hg} h_{t-1} + b_{hg}) \\
        o_t &= \sigma(W_{io} x_t + b_{io} + W_{ho} h_{t-1} + b_{ho}) \\
        c_t &= f_t c_{t-1} + i_t g_t \\
        h_t &= o_t \tanh(c_t)

    Shapes: x (*batch, I), h and c (*batch, H), y = h_t. Parameters, gates in the order i f g o:
    ``weight_ih`` (4H, I), ``weight_hh`` (4H, H), ``bias_ih`` (4H,), ``bias_hh`` (4H,).

    Args:
        input_size: int, I, features of the input.
        hidden_size: int, H, features of the hidden state.
        bias: bool, whether both maps have a bias; True by default.
        output_size: int, for subclasses whose ``update`` projects h; None (default) is H.
        heads: int, number of blocks of the hidden map; 1 (default) is dense, H is diagonal.
        init: initial distribution, ``"torch"`` (default), ``"flax"`` or an ``initializers.Scheme``.
        dtype: dtype of the parameters, inputs and outputs; None is JAX's default float.
        rngs: ``nnx.Rngs``, source of the initial values.

    Raises:
        TypeError: a size that is not an int. ValueError: a size below 1, an unknown init or dtype.

    Source: S. Hochreiter and J. Schmidhuber, "Long short-term memory", 1997; F. Gers,
    J. Schmidhuber and F. Cummins, "Learning to forget", 2000; slide "Under the hood: LSTM" (which
    prints the equations of a GRU instead).
    """

    gates = ("i", "f", "g", "o")

    def update(self, gates: Any, carry: LSTMCarry) -> tuple[LSTMCarry, Float[Array, "*batch H"]]:
        c = sigmoid(gates.f) * carry.c + sigmoid(gates.i) * jnp.tanh(gates.g)
        h = sigmoid(gates.o) * jnp.tanh(c)
        return LSTMCarry(h, c), h
