"""The linear oscillatory state space model."""

from typing import Any, NamedTuple

import jax.numpy as jnp
from flax import nnx
from jax.nn import initializers, relu, sigmoid

from jax_rnn.base.arguments import check_count, check_rngs, parameter_dtype
from jax_rnn.base.typing import Array, DTypeLike, Float
from jax_rnn.cells.linear import Blocks, LinearCell
from jax_rnn.cells.literature.shared import parameter, rows, wide

__all__ = ["LinOSSCarry", "LinOSSCell"]


class LinOSSCarry(NamedTuple):
    """The oscillators of LinOSS."""

    h: Float[Array, "*batch H 2"]
    """Velocity and position."""


class LinOSSCell(LinearCell[LinOSSCarry]):
    r"""LinOSS-IMEX: forced harmonic oscillators, in a time step that keeps their volume.

    .. math::
        z_t &= z_{t-1} + \Delta t (-A q_{t-1} + B x_t) \\
        q_t &= q_{t-1} + \Delta t z_t \\
        y_t &= C q_t + D x_t

    with A = relu(a) and dt = sigma(s), so that every step is stable.

    Shapes: x (*batch, I), h (*batch, H, 2), which is (z, q), y (*batch, I). Parameters: ``a``
    (H,), ``step_size`` (H,), which is s, ``b`` (H, I), ``c`` (I, H), ``d`` (I,). Initial values: a
    and s from U(0, 1), B and C uniform within 1 / sqrt(I) and 1 / sqrt(H), D from N(0, 1). The
    authors' code has complex B and C, and takes the real part; here they are real.

    Args:
        input_size: int, I, features of the input and of the output.
        hidden_size: int, H, number of oscillators.
        dtype: dtype of the parameters, inputs and outputs; None is JAX's default float.
        rngs: ``nnx.Rngs``, source of the initial values.

    Raises:
        TypeError: a size that is not an int. ValueError: a size below 1, an unknown dtype.

    Source: T. K. Rusch and D. Rus, "Oscillatory state-space models", 2024, model LinOSS-IMEX.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        dtype: DTypeLike | None = None,
        rngs: nnx.Rngs,
    ):
        check_count("input_size", input_size)
        check_count("hidden_size", hidden_size)
        check_rngs(rngs)
        self.input_size, self.hidden_size, self.output_size = input_size, hidden_size, input_size
        dtype, unit = parameter_dtype(dtype), initializers.uniform(1.0)
        self.a = parameter(unit, rngs, dtype, hidden_size)
        self.step_size = parameter(unit, rngs, dtype, hidden_size)
        within = initializers.variance_scaling(1 / 3, "fan_in", "uniform", -1, -2)
        self.b = parameter(within, rngs, dtype, hidden_size, input_size)
        self.c = parameter(within, rngs, dtype, input_size, hidden_size)
        self.d = parameter(initializers.normal(1.0), rngs, dtype, input_size)

    def coefficients(self, x: Float[Array, "*batch I"]) -> tuple[Any, LinOSSCarry]:
        stiffness, dt = relu(wide(self.a)), sigmoid(wide(self.step_size))
        velocity = jnp.stack([jnp.ones_like(dt), -dt * stiffness], -1)
        position = jnp.stack([dt, 1 - dt * dt * stiffness], -1)
        force = jnp.matmul(wide(x), wide(self.b).T) * rows(dt, x)
        b = jnp.stack([force, force * rows(dt, x)], -1)
        a: Any = Blocks(jnp.stack([velocity, position], -2))
        return LinOSSCarry(a), LinOSSCarry(b)

    def output(self, carry: LinOSSCarry, x: Float[Array, "*batch I"]) -> Float[Array, "*batch I"]:
        return jnp.matmul(carry.h[..., 1], wide(self.c).T) + rows(self.d, x) * wide(x)
