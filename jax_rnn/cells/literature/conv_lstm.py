"""The convolutional LSTM."""

from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax import lax
from jax.nn import initializers, sigmoid

from jax_rnn.base.arguments import check_count, check_rngs, parameter_dtype
from jax_rnn.base.typing import Array, DTypeLike, Float, accumulator
from jax_rnn.cells.base import Cell
from jax_rnn.cells.literature.shared import parameter, rows
from jax_rnn.cells.lstm import LSTMCarry

__all__ = ["ConvLSTMCell"]


class ConvLSTMCell(Cell[LSTMCarry]):
    r"""LSTM on images, whose two maps are convolutions.

    .. math::
        i_t &= \sigma(W_{ii} * x_t + W_{hi} * h_{t-1} + b_i) \\
        f_t &= \sigma(W_{if} * x_t + W_{hf} * h_{t-1} + b_f) \\
        g_t &= \tanh(W_{ig} * x_t + W_{hg} * h_{t-1} + b_g) \\
        o_t &= \sigma(W_{io} * x_t + W_{ho} * h_{t-1} + b_o) \\
        c_t &= f_t c_{t-1} + i_t g_t \\
        h_t &= o_t \tanh(c_t)

    where * is a convolution over height and width, padded so that their sizes stay. The peepholes
    of the paper are left out, as in Keras and Flax.

    Shapes: x (*batch, height, width, I), h and c (*batch, height, width, H), y = h_t. Parameters,
    gates in the order i f g o: ``kernel_ih`` (K, K, I, 4H), ``kernel_hh`` (K, K, H, 4H), ``bias``
    (4H,). Initial values: Glorot uniform kernels, b_f = 1, other biases 0.

    Args:
        input_size: int, I, channels of the input.
        hidden_size: int, H, channels of the hidden state.
        kernel_size: int, K, height and width of the kernels; 3 by default.
        dtype: dtype of the parameters, inputs and outputs; None is JAX's default float.
        rngs: ``nnx.Rngs``, source of the initial values.

    Raises:
        TypeError: a size that is not an int. ValueError: a size below 1, an unknown dtype.

    Source: X. Shi et al., "Convolutional LSTM network: a machine learning approach for
    precipitation nowcasting", 2015.
    """

    num_feature_axes = 3

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        kernel_size: int = 3,
        dtype: DTypeLike | None = None,
        rngs: nnx.Rngs,
    ):
        check_count("input_size", input_size)
        check_count("hidden_size", hidden_size)
        check_count("kernel_size", kernel_size)
        check_rngs(rngs)
        self.input_size, self.hidden_size, size = input_size, hidden_size, kernel_size
        dtype, draw = parameter_dtype(dtype), initializers.glorot_uniform()
        self.kernel_ih = parameter(draw, rngs, dtype, size, size, input_size, 4 * hidden_size)
        self.kernel_hh = parameter(draw, rngs, dtype, size, size, hidden_size, 4 * hidden_size)
        bias = jnp.zeros((4, hidden_size), dtype).at[1].set(1)
        self.bias = nnx.Param(bias.reshape(-1))

    def initialize_carry(
        self, input_shape: Any, rngs: Any = None, carry_init: Any = None
    ) -> LSTMCarry:
        """Zeros, (*batch, height, width, H)."""
        zeros = jnp.zeros((*input_shape[:-1], self.hidden_size), accumulator(self.dtype))
        return LSTMCarry(zeros, zeros)

    def project(self, x: Float[Array, "*batch I"]) -> Float[Array, "*batch GH"]:
        y = _convolved(x, self.kernel_ih[...])
        return y + rows(self.bias, y)

    def step(
        self, carry: LSTMCarry, x: Float[Array, "*batch GH"]
    ) -> tuple[LSTMCarry, Float[Array, "*batch H"]]:
        maps = x + _convolved(carry.h.astype(self.dtype), self.kernel_hh[...])
        i, f, g, o = jnp.split(maps, 4, axis=-1)
        c = sigmoid(f) * carry.c + sigmoid(i) * jnp.tanh(g)
        h = sigmoid(o) * jnp.tanh(c)
        return LSTMCarry(h, c), h.astype(self.dtype)


def _convolved(x: Array, kernel: Array) -> Array:
    """The convolution over height and width, with any number of batch axes, in float32."""
    flat = x.reshape(-1, *x.shape[-3:])
    y = lax.conv_general_dilated(
        flat, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    return y.reshape(*x.shape[:-1], -1).astype(accumulator(x.dtype))
