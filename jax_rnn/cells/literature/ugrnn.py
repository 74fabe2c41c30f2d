"""The update gate recurrent network."""

from typing import Any

import jax.numpy as jnp
from jax.nn import sigmoid

from jax_rnn.base.initializers import TORCH, published
from jax_rnn.base.typing import Array, Float
from jax_rnn.cells.base import HiddenCarry
from jax_rnn.cells.gated import GatedCell
from jax_rnn.cells.literature.shared import with_arguments

__all__ = ["UGRNNCell"]


@with_arguments
class UGRNNCell(GatedCell[HiddenCarry]):
    r"""Update gate RNN: a tanh layer and one gate between its result and the old state.

    .. math::
        n_t &= \tanh(W_{in} x_t + b_{in} + W_{hn} h_{t-1} + b_{hn}) \\
        g_t &= \sigma(W_{ig} x_t + b_{ig} + W_{hg} h_{t-1} + b_{hg}) \\
        h_t &= g_t h_{t-1} + (1 - g_t) n_t

    Shapes: x (*batch, I), h (*batch, H), y = h_t. Parameters, gates in the order n g:
    ``weight_ih`` (2H, I), ``weight_hh`` (2H, H), ``bias_ih`` (2H,), ``bias_hh`` (2H,). Initial
    values: weights as in ``torch.nn``, biases 0 except for b_ig = 1.

    Source: J. Collins, J. Sohl-Dickstein and D. Sussillo, "Capacity and trainability in recurrent
    neural networks", 2016.
    """

    gates = ("n", "g")
    default_init = published(TORCH, 0.0, 1.0)

    def update(
        self, gates: Any, carry: HiddenCarry
    ) -> tuple[HiddenCarry, Float[Array, "*batch H"]]:
        g = sigmoid(gates.g)
        h = g * carry.h + (1 - g) * jnp.tanh(gates.n)
        return HiddenCarry(h), h
