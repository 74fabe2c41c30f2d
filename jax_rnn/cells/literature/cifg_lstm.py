"""The LSTM whose input and forget gates are coupled."""

from typing import Any

import jax.numpy as jnp
from jax.nn import sigmoid

from jax_rnn.base.initializers import TORCH, published
from jax_rnn.base.typing import Array, Float
from jax_rnn.cells.gated import GatedCell
from jax_rnn.cells.literature.shared import with_arguments
from jax_rnn.cells.lstm import LSTMCarry

__all__ = ["CIFGLSTMCell"]


@with_arguments
class CIFGLSTMCell(GatedCell[LSTMCarry]):
    r"""LSTM with a coupled input and forget gate: what enters the cell replaces what leaves it.

    .. math::
        f_t &= \sigma(W_{if} x_t + b_{if} + W_{hf} h_{t-1} + b_{hf}) \\
        g_t &= \tanh(W_{ig} x_t + b_{ig} + W_{hg} h_{t-1} + b_{hg}) \\
        o_t &= \sigma(W_{io} x_t + b_{io} + W_{ho} h_{t-1} + b_{ho}) \\
        c_t &= f_t c_{t-1} + (1 - f_t) g_t \\
        h_t &= o_t \tanh(c_t)

    Shapes: x (*batch, I), h and c (*batch, H), y = h_t. Parameters, gates in the order f g o:
    ``weight_ih`` (3H, I), ``weight_hh`` (3H, H), ``bias_ih`` (3H,), ``bias_hh`` (3H,). Initial
    values: weights as in ``torch.nn``, biases 0 except for b_if = 1.

    Source: K. Greff et al., "LSTM: a search space odyssey", 2015, variant CIFG; biases as in R.
    Jozefowicz et al., "An empirical exploration of recurrent network architectures", 2015.
    """

    gates = ("f", "g", "o")
    default_init = published(TORCH, 1.0, 0.0, 0.0)

    def update(self, gates: Any, carry: LSTMCarry) -> tuple[LSTMCarry, Float[Array, "*batch H"]]:
        f = sigmoid(gates.f)
        c = f * carry.c + (1 - f) * jnp.tanh(gates.g)
        h = sigmoid(gates.o) * jnp.tanh(c)
        return LSTMCarry(h, c), h
