"""The stackable recurrent cell."""

from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax.nn import initializers, sigmoid

from jax_rnn.base.arguments import check_count, check_rngs, parameter_dtype
from jax_rnn.base.typing import Array, DTypeLike, Float, accumulator
from jax_rnn.cells.affine import affine
from jax_rnn.cells.base import Cell, HiddenCarry
from jax_rnn.cells.literature.shared import parameter

__all__ = ["STARCell"]


class STARCell(Cell[HiddenCarry]):
    r"""Stackable recurrent cell, whose gradients keep their size over many layers.

    .. math::
        z_t &= \tanh(W_{iz} x_t + b_{iz}) \\
        k_t &= \sigma(W_{ik} x_t + b_{ik} + W_{hk} h_{t-1} + b_{hk}) \\
        h_t &= \tanh((1 - k_t) h_{t-1} + k_t z_t)

    Only the gate k has a hidden map.

    Shapes: x (*batch, I), h (*batch, H), y = h_t. Parameters, gates in the order z k:
    ``weight_ih`` (2H, I), ``weight_hh`` (H, H), ``bias_ih`` (2H,), ``bias_hh`` (H,). Initial
    values: orthogonal weights, biases 0.

    Args:
        input_size: int, I, features of the input.
        hidden_size: int, H, features of the hidden state.
        bias: bool, whether both maps have a bias; True by default.
        dtype: dtype of the parameters, inputs and outputs; None is JAX's default float.
        rngs: ``nnx.Rngs``, source of the initial values.

    Raises:
        TypeError: a size that is not an int. ValueError: a size below 1, an unknown dtype.

    Source: M. O. Turkoglu, S. D'Aronco, J. D. Wegner and K. Schindler, "Gating revisited: deep
    multi-layer RNNs that can be trained", 2019.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        dtype: DTypeLike | None = None,
        rngs: nnx.Rngs,
    ):
        check_count("input_size", input_size)
        check_count("hidden_size", hidden_size)
        check_rngs(rngs)
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        dtype, zeros = parameter_dtype(dtype), initializers.zeros
        orthogonal = initializers.orthogonal()
        self.weight_ih = parameter(orthogonal, rngs, dtype, 2 * hidden_size, input_size)
        self.weight_hh = parameter(orthogonal, rngs, dtype, hidden_size, hidden_size)
        self.bias_ih = parameter(zeros, rngs, dtype, 2 * hidden_size) if bias else None
        self.bias_hh = parameter(zeros, rngs, dtype, hidden_size) if bias else None

    def initialize_carry(
        self, input_shape: Any, rngs: Any = None, carry_init: Any = None
    ) -> HiddenCarry:
        """Zeros, (*batch, H)."""
        shape = (*input_shape[:-1], self.hidden_size)
        return HiddenCarry(jnp.zeros(shape, accumulator(self.dtype)))

    def project(self, x: Float[Array, "*batch I"]) -> tuple[Float[Array, "*batch H"], ...]:
        z, k = jnp.split(affine(x, self.weight_ih, self.bias_ih), 2, axis=-1)
        return jnp.tanh(z), k

    def step(
        self, carry: HiddenCarry, x: tuple[Float[Array, "*batch H"], ...]
    ) -> tuple[HiddenCarry, Float[Array, "*batch H"]]:
        z, k = x
        k = sigmoid(k + affine(carry.h.astype(self.dtype), self.weight_hh, self.bias_hh))
        h = jnp.tanh((1 - k) * carry.h + k * z)
        return HiddenCarry(h), h.astype(self.dtype)
