"""The gated recurrent unit as first published: reset before the product."""

import jax.numpy as jnp
from jax.nn import sigmoid

from jax_rnn.cells.base import AffineCell, HiddenCarry, affine, unstack
from jax_rnn.typing import Array, Float

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
        self, carry: HiddenCarry, x: Float[Array, "*batch 3 H"]
    ) -> tuple[HiddenCarry, Float[Array, "*batch H"]]:
        size = 2 * self.hidden_size
        x_r, x_z, x_n = unstack(x)
        h_r, h_z = jnp.split(self._hidden_map(carry.h, slice(None, size)), 2, axis=-1)
        r, z = sigmoid(x_r + h_r), sigmoid(x_z + h_z)
        n = jnp.tanh(x_n + self._hidden_map(r * carry.h, slice(size, None)))
        h = (1 - z) * n + z * carry.h
        return HiddenCarry(h), h.astype(self.dtype)

    def _hidden_map(self, h: Array, rows: slice) -> Array:
        bias = None if self.bias_hh is None else self.bias_hh[rows]
        return affine(h.astype(self.dtype), self.weight_hh[rows], bias)
