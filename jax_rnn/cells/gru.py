"""The gated recurrent unit."""

from typing import Any

import jax.numpy as jnp
from jax.nn import sigmoid

from jax_rnn.base.typing import Array, Float
from jax_rnn.cells.base import HiddenCarry
from jax_rnn.cells.gated import GatedCell

__all__ = ["GRUCell"]


class GRUCell(GatedCell[HiddenCarry]):
    r"""Gated recurrent unit, with the reset gate after the product, as in ``torch.nn`` and cuDNN.

    .. math::
        r_t &= \sigma(W_{ir} x_t + b_{ir} + W_{hr} h_{t-1} + b_{hr}) \\
        z_t &= \sigma(W_{iz} x_t + b_{iz} + W_{hz} h_{t-1} + b_{hz}) \\
        n_t &= \tanh(W_{in} x_t + b_{in} + r_t (W_{hn} h_{t-1} + b_{hn})) \\
        h_t &= (1 - z_t) n_t + z_t h_{t-1}

    Shapes: x (*batch, I), h (*batch, H), y = h_t. Parameters, gates in the order r z n:
    ``weight_ih`` (3H, I), ``weight_hh`` (3H, H), ``bias_ih`` (3H,), ``bias_hh`` (3H,). The bias
    b_hn is scaled by the reset gate and cannot be merged with b_in.

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

    Source: K. Cho et al., "Learning phrase representations using RNN encoder-decoder", 2014; slide
    "Exercise 11-6", whose equations reset the state before the product: another cell, see
    ``OriginalGRUCell``.
    """

    gates = ("r", "z", "n")
    separate = ("n",)

    def update(
        self, gates: Any, carry: HiddenCarry
    ) -> tuple[HiddenCarry, Float[Array, "*batch H"]]:
        r, z = sigmoid(gates.r), sigmoid(gates.z)
        n = jnp.tanh(gates.n.x + r * gates.n.h)
        h = (1 - z) * n + z * carry.h
        return HiddenCarry(h), h
