"""The linear recurrent unit, a diagonal complex recurrence."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from jax_rnn.base.arguments import check_count, check_rngs, parameter_dtype
from jax_rnn.base.typing import Array, DTypeLike, Float, accumulator
from jax_rnn.cells.linear import LinearCell

__all__ = ["LRUCarry", "LRUCell"]


class LRUCarry(NamedTuple):
    """The complex state of a linear recurrent unit."""

    h: Any


class LRUCell(LinearCell[LRUCarry]):
    r"""Linear recurrent unit: a stable diagonal recurrence of complex numbers.

    .. math::
        \lambda &= \exp(-\exp(\nu) + i \exp(\theta)), \quad
            \gamma = \sqrt{1 - |\lambda|^2} \\
        h_t &= \lambda h_{t-1} + \gamma (B x_t) \\
        y_t &= Re(C h_t) + D x_t

    Shapes: x (*batch, I), h (*batch, H) complex, y (*batch, O). Parameters: ``nu`` (H,), ``theta``
    (H,), ``b_real`` and ``b_imag`` (H, I), ``c_real`` and ``c_imag`` (O, H), ``d`` (O, I). The
    paper's gamma is a parameter of its own with this initial value; here it follows lambda.

    Args:
        input_size: int, I, features of the input.
        hidden_size: int, H, number of complex states.
        output_size: int, O, features of the output; None (default) is I.
        radius: pair of floats, smallest and largest initial absolute value of lambda, in [0, 1);
            (0, 0.99) by default. Use values near 1 for long sequences.
        max_phase: float, largest initial phase of lambda in radians; 2 pi by default.
        dtype: dtype of the parameters, inputs and outputs; None is JAX's default float.
        rngs: ``nnx.Rngs``, source of the initial values.

    Raises:
        TypeError: a size that is not an int. ValueError: a size below 1, an unknown dtype, a radius
            outside [0, 1), a phase of 0 or less.

    Source: A. Orvieto et al., "Resurrecting recurrent neural networks for long sequences", 2023.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        output_size: int | None = None,
        *,
        radius: tuple[float, float] = (0.0, 0.99),
        max_phase: float = 6.283185307179586,
        dtype: DTypeLike | None = None,
        rngs: nnx.Rngs,
    ):
        check_count("input_size", input_size)
        check_count("hidden_size", hidden_size)
        outputs = input_size if output_size is None else output_size
        check_count("output_size", outputs)
        check_rngs(rngs)
        low, high = radius
        if not 0 <= low < high < 1:
            raise ValueError(f"radius: expected 0 <= smallest < largest < 1, got {radius}")
        if not max_phase > 0:
            raise ValueError(f"max_phase: expected a phase above 0, got {max_phase}")
        self.input_size, self.hidden_size, self.output_size = input_size, hidden_size, outputs
        dtype = parameter_dtype(dtype)
        wide = accumulator(dtype)

        def uniform() -> Array:
            return jax.random.uniform(rngs.params(), (hidden_size,), wide, 1e-6, 1)

        def normal(rows: int, columns: int, scale: float) -> nnx.Param:
            drawn = jax.random.normal(rngs.params(), (rows, columns), wide) * scale
            return nnx.Param(drawn.astype(dtype))

        squared = uniform() * (high**2 - low**2) + low**2
        self.nu = nnx.Param(jnp.log(-jnp.log(squared) / 2).astype(dtype))
        self.theta = nnx.Param(jnp.log(uniform() * max_phase).astype(dtype))
        self.b_real = normal(hidden_size, input_size, (2 * input_size) ** -0.5)
        self.b_imag = normal(hidden_size, input_size, (2 * input_size) ** -0.5)
        self.c_real = normal(outputs, hidden_size, hidden_size**-0.5)
        self.c_imag = normal(outputs, hidden_size, hidden_size**-0.5)
        self.d = normal(outputs, input_size, input_size**-0.5)

    def coefficients(self, x: Float[Array, "*batch I"]) -> tuple[LRUCarry, LRUCarry]:
        nu, theta, b_real, b_imag = map(self._wide, (self.nu, self.theta, self.b_real, self.b_imag))
        decay = jnp.exp(nu)
        a = jnp.exp(jax.lax.complex(-decay, jnp.exp(theta)))
        gamma = jnp.sqrt(-jnp.expm1(-2 * decay))
        x = x.astype(nu.dtype)
        real, imag = (gamma * jnp.matmul(x, weight.T) for weight in (b_real, b_imag))
        b = jax.lax.complex(real, imag)
        return LRUCarry(a), LRUCarry(b)

    def output(self, carry: LRUCarry, x: Float[Array, "*batch I"]) -> Float[Array, "*batch O"]:
        c_real, c_imag, d = map(self._wide, (self.c_real, self.c_imag, self.d))
        y = jnp.matmul(carry.h.real, c_real.T) - jnp.matmul(carry.h.imag, c_imag.T)
        return y + jnp.matmul(x.astype(d.dtype), d.T)

    def _wide(self, parameter: nnx.Param) -> Array:
        return parameter[...].astype(accumulator(self.dtype))
