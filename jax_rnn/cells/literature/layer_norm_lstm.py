"""The LSTM whose maps and cell state are normalised over their features."""

from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax import lax
from jax.nn import initializers, sigmoid

from jax_rnn.base.initializers import Init
from jax_rnn.base.typing import Array, DTypeLike, Float
from jax_rnn.cells.gated import GatedCell
from jax_rnn.cells.literature.shared import parameter, rows, with_arguments
from jax_rnn.cells.lstm import LSTMCarry

__all__ = ["LayerNormLSTMCell"]

EPSILON = 1e-5


@with_arguments
class LayerNormLSTMCell(GatedCell[LSTMCarry]):
    r"""LSTM with layer normalisation of the two maps, all gates together, and of the cell state.

    .. math::
        (i, f, g, o) &= LN(W_{ih} x_t; \gamma_{ih}) + LN(W_{hh} h_{t-1}; \gamma_{hh})
            + b \\
        c_t &= \sigma(f) c_{t-1} + \sigma(i) \tanh(g) \\
        h_t &= \sigma(o) \tanh(LN(c_t; \gamma_c) + b_c) \\
        LN(a; \gamma) &= \gamma (a - mean(a)) / \sqrt{var(a) + 10^{-5}}

    Shapes: x (*batch, I), h and c (*batch, H), y = h_t. Parameters, gates in the order i f g o:
    ``weight_ih`` (4H, I), ``weight_hh`` (4H, H), ``gain_ih`` (4H,), ``gain_hh`` (4H,),
    ``bias_gates`` (4H,), ``gain_c`` (H,), ``bias_c`` (H,); the maps have no bias. Initial values:
    weights as in ``torch.nn``, gains 1, biases 0 except for b_f = 1.

    Source: J. L. Ba, J. R. Kiros and G. E. Hinton, "Layer normalization", 2016, equations 20 to 22.
    """

    gates = ("i", "f", "g", "o")
    separate = gates

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
            input_size, hidden_size, False, heads=heads, init=init, dtype=dtype, rngs=rngs
        )
        one, zero, dtype = initializers.ones, initializers.zeros, self.dtype
        self.gain_ih = parameter(one, rngs, dtype, 4 * hidden_size)
        self.gain_hh = parameter(one, rngs, dtype, 4 * hidden_size)
        self.gain_c = parameter(one, rngs, dtype, hidden_size)
        self.bias, gates = bias, jnp.zeros((4, hidden_size), dtype).at[1].set(1)
        self.bias_gates = nnx.Param(gates.reshape(-1)) if bias else None
        self.bias_c = parameter(zero, rngs, dtype, hidden_size) if bias else None

    def update(self, gates: Any, carry: LSTMCarry) -> tuple[LSTMCarry, Float[Array, "*batch H"]]:
        x, h = (jnp.concatenate(maps, -1) for maps in zip(*gates, strict=True))
        sums = _norm(x, self.gain_ih, self.bias_gates) + _norm(h, self.gain_hh)
        i, f, g, o = jnp.split(sums, 4, axis=-1)
        c = sigmoid(f) * carry.c + sigmoid(i) * jnp.tanh(g)
        h = sigmoid(o) * jnp.tanh(_norm(c, self.gain_c, self.bias_c))
        return LSTMCarry(h, c), h


def _norm(x: Array, gain: nnx.Param, bias: nnx.Param | None = None) -> Array:
    x = x - x.mean(-1, keepdims=True)
    x = x * lax.rsqrt((x * x).mean(-1, keepdims=True) + EPSILON) * rows(gain, x)
    return x if bias is None else x + rows(bias, x)
