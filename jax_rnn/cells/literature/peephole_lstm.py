"""The LSTM whose gates read the cell state."""

from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax.nn import initializers, sigmoid

from jax_rnn.base.initializers import TORCH, Init, published
from jax_rnn.base.typing import Array, DTypeLike, Float
from jax_rnn.cells.gated import GatedCell
from jax_rnn.cells.literature.shared import parameter, rows, with_arguments
from jax_rnn.cells.lstm import LSTMCarry

__all__ = ["PeepholeLSTMCell"]


@with_arguments
class PeepholeLSTMCell(GatedCell[LSTMCarry]):
    r"""LSTM with peephole connections: the gates see the cell state, feature by feature.

    .. math::
        i_t &= \sigma(W_{ii} x_t + b_{ii} + W_{hi} h_{t-1} + b_{hi} + p_i c_{t-1}) \\
        f_t &= \sigma(W_{if} x_t + b_{if} + W_{hf} h_{t-1} + b_{hf} + p_f c_{t-1}) \\
        g_t &= \tanh(W_{ig} x_t + b_{ig} + W_{hg} h_{t-1} + b_{hg}) \\
        c_t &= f_t c_{t-1} + i_t g_t \\
        o_t &= \sigma(W_{io} x_t + b_{io} + W_{ho} h_{t-1} + b_{ho} + p_o c_t) \\
        h_t &= o_t \tanh(c_t)

    The output gate reads the new cell state.

    Shapes: x (*batch, I), h and c (*batch, H), y = h_t. Parameters, gates in the order i f g o:
    ``weight_ih`` (4H, I), ``weight_hh`` (4H, H), ``bias_ih`` (4H,), ``bias_hh`` (4H,),
    ``weight_ph`` (3H,), the peepholes of i f o. Initial values: weights as in ``torch.nn``,
    peepholes from N(0, 0.1^2), biases 0 except for b_if = 1.

    Source: F. Gers, N. Schraudolph and J. Schmidhuber, "Learning precise timing with LSTM recurrent
    networks", 2002.
    """

    gates = ("i", "f", "g", "o")
    default_init = published(TORCH, 0.0, 1.0, 0.0, 0.0)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        heads: int = 1,
        init: Init | None = None,
        dtype: DTypeLike | None = None,
        rngs: nnx.Rngs,
    ):
        super().__init__(
            input_size, hidden_size, bias, heads=heads, init=init, dtype=dtype, rngs=rngs
        )
        self.weight_ph = parameter(initializers.normal(0.1), rngs, self.dtype, 3 * hidden_size)

    def update(self, gates: Any, carry: LSTMCarry) -> tuple[LSTMCarry, Float[Array, "*batch H"]]:
        p_i, p_f, p_o = jnp.split(rows(self.weight_ph, carry.c), 3, axis=-1)
        i, f = sigmoid(gates.i + p_i * carry.c), sigmoid(gates.f + p_f * carry.c)
        c = f * carry.c + i * jnp.tanh(gates.g)
        h = sigmoid(gates.o + p_o * c) * jnp.tanh(c)
        return LSTMCarry(h, c), h
