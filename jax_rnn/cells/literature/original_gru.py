"""The gated recurrent unit as first published: reset before the product."""

import jax.numpy as jnp
from jax.nn import sigmoid

from jax_rnn.base.typing import Array, Float
from jax_rnn.cells.affine import AffineCell
from jax_rnn.cells.base import HiddenCarry

__all__ = ["OriginalGRUCell"]


class OriginalGRUCell(AffineCell[HiddenCarry]):
    r"""Gated recurrent unit with the reset gate before the product, ONNX's default.

    .. math::
        r_t &= \sigma(W_{ir} x_t + b_{ir} + W_{hr} h_{t-1} + b_{hr}) \\
        z_t &= \sigma(W_{iz} x_t + b_{iz} + W_{hz} h_{t-1} + b_{hz}) \\
        n_t &= \tanh(W_{in} x_t + b_{in} + W_{hn} (r_t h_{t-1}) + b_{hn}) \\
        h_t &= (1 - z_t) n_t + z_t h_{t-1}

    Its hidden map needs the reset gate, which needs the hidden map: two sequential products per
    step, where ``GRUCell`` has one. No choice of weights makes the two equal, unless nothing is
    reset.

    Shapes: x (*batch, I), h (*batch, H), y = h_t. Parameters, gates in the order r z n:
    ``weight_ih`` (3H, I), ``weight_hh`` (3H, H), ``bias_ih`` (3H,), ``bias_hh`` (3H,).

    Args:
        input_size: int, I, features of the input.
        hidden_size: int, H, features of the hidden state.
        bias: bool, whether both maps have a bias; True by default.
        output_size: int, for subclasses whose ``step`` projects h; None (default) is H.
        heads: int, number of blocks of the hidden map; 1 (default) is dense, H is diagonal.
        init: initial distribution, ``"torch"`` (default), ``"flax"`` or an ``initializers.Scheme``.
        dtype: dtype of the parameters, inputs and outputs; None is JAX's default float.
        rngs: ``nnx.Rngs``, source of the initial values.

    Raises:
        TypeError: a size that is not an int. ValueError: a size below 1, an unknown init or dtype.

    Source: K. Cho et al., "Learning phrase representations using RNN encoder-decoder", 2014; slide
    "Exercise 11-6".
    """

    gates = ("r", "z", "n")

    def step(
        self, carry: HiddenCarry, x: tuple[Float[Array, "*batch H"], ...]
    ) -> tuple[HiddenCarry, Float[Array, "*batch H"]]:
        x_r, x_z, x_n = x
        h_r, h_z = self.recur(carry.h, ("r", "z"))
        r, z = sigmoid(x_r + h_r), sigmoid(x_z + h_z)
        (h_n,) = self.recur(r * carry.h, ("n",))
        n = jnp.tanh(x_n + h_n)
        h = (1 - z) * n + z * carry.h
        return HiddenCarry(h), h.astype(self.dtype)
