"""The selective state space model of Mamba."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax
from jax.nn import initializers, softplus

from jax_rnn.base.arguments import check_count, check_rngs, parameter_dtype
from jax_rnn.base.typing import Array, DTypeLike, Float, accumulator
from jax_rnn.cells.affine import affine
from jax_rnn.cells.linear import LinearCell
from jax_rnn.cells.literature.shared import parameter, rows, wide

__all__ = ["SelectiveSSMCarry", "SelectiveSSMCell"]

SMALLEST, LARGEST = 0.001, 0.1
"""Initial time steps."""


class SelectiveSSMCarry(NamedTuple):
    """The states of every feature."""

    h: Float[Array, "*batch H N"]


class SelectiveSSMCell(LinearCell[SelectiveSSMCarry]):
    r"""Selective SSM (S6): N states per feature, whose step, input and output depend on x.

    .. math::
        \Delta_t &= softplus(W_\Delta W_r x_t + b_\Delta), \quad
            B_t = W_B x_t, \quad C_t = W_C x_t \\
        h_t &= \exp(\Delta_t A) h_{t-1} + \Delta_t x_t B_t^T \\
        y_t &= h_t C_t + D x_t, \quad A = -\exp(a)

    This is the recurrence of a Mamba block, without the convolution and the gate around it.

    Shapes: x (*batch, H), h (*batch, H, N), y (*batch, H). Parameters: ``weight_x`` (R + 2N, H),
    the rows of W_r, W_B and W_C, ``weight_step`` (H, R), ``bias_step`` (H,), ``a_log`` (H, N),
    ``d`` (H,). Initial values: a = log(1, ..., N), D = 1, b such that softplus(b) is log-uniform
    from 0.001 to 0.1, ``weight_step`` uniform within 1 / sqrt(R), ``weight_x`` uniform within
    1 / sqrt(H).

    Args:
        hidden_size: int, H, features of the input and of the output.
        state_size: int, N, states per feature; 16 by default.
        rank: int, R, rank of the map of the time step; None (default) is H / 16, rounded up.
        dtype: dtype of the parameters, inputs and outputs; None is JAX's default float.
        rngs: ``nnx.Rngs``, source of the initial values.

    Raises:
        TypeError: a size that is not an int. ValueError: a size below 1, an unknown dtype.

    Source: A. Gu and T. Dao, "Mamba: linear-time sequence modeling with selective state spaces",
    2023, algorithm 2; discretisation of B and initial values as in the authors' code.
    """

    def __init__(
        self,
        hidden_size: int,
        *,
        state_size: int = 16,
        rank: int | None = None,
        dtype: DTypeLike | None = None,
        rngs: nnx.Rngs,
    ):
        check_count("hidden_size", hidden_size)
        check_count("state_size", state_size)
        rank = -(-hidden_size // 16) if rank is None else rank
        check_count("rank", rank)
        check_rngs(rngs)
        self.input_size = self.hidden_size = hidden_size
        self.state_size, self.rank = state_size, rank
        dtype = parameter_dtype(dtype)
        within = initializers.variance_scaling(1 / 3, "fan_in", "uniform", -1, -2)
        self.weight_x = parameter(within, rngs, dtype, rank + 2 * state_size, hidden_size)
        self.weight_step = parameter(within, rngs, dtype, hidden_size, rank)
        uniform = jax.random.uniform(rngs.params(), (hidden_size,), accumulator(dtype))
        step = jnp.exp(np.log(SMALLEST) + uniform * np.log(LARGEST / SMALLEST))
        self.bias_step = nnx.Param(jnp.log(jnp.expm1(step)).astype(dtype))
        a_log = np.tile(np.log(np.arange(1, state_size + 1)), (hidden_size, 1))
        self.a_log = nnx.Param(jnp.asarray(a_log, dtype))
        self.d = parameter(initializers.ones, rngs, dtype, hidden_size)

    def coefficients(
        self, x: Float[Array, "*batch H"]
    ) -> tuple[SelectiveSSMCarry, SelectiveSSMCarry]:
        step, b, _ = self._maps(x)
        step = affine(step.astype(self.dtype), self.weight_step)
        step = lax.expand_dims(softplus(step + rows(self.bias_step, step)), (step.ndim,))
        a = jnp.exp(-jnp.exp(rows(self.a_log, step)) * step)
        b = step * wide(x)[..., None] * b[..., None, :]
        return SelectiveSSMCarry(a), SelectiveSSMCarry(b)

    def output(
        self, carry: SelectiveSSMCarry, x: Float[Array, "*batch H"]
    ) -> Float[Array, "*batch H"]:
        _, _, c = self._maps(x)
        return (carry.h * c[..., None, :]).sum(-1) + rows(self.d, x) * wide(x)

    def _maps(self, x: Float[Array, "*batch H"]) -> tuple[Array, ...]:
        ends = (self.rank, self.rank + self.state_size)
        return tuple(jnp.split(affine(x, self.weight_x), ends, axis=-1))
