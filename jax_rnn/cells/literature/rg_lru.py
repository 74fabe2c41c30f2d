"""The real-gated linear recurrent unit of Griffin."""

import jax.numpy as jnp
from flax import nnx
from jax.nn import initializers, sigmoid, softplus

from jax_rnn.base.arguments import check_count, check_rngs, parameter_dtype
from jax_rnn.base.typing import Array, DTypeLike, Float, accumulator
from jax_rnn.cells.affine import hidden_product
from jax_rnn.cells.base import HiddenCarry
from jax_rnn.cells.linear import LinearCell
from jax_rnn.cells.literature.shared import parameter, rows, wide

__all__ = ["RGLRUCell"]

SHARPNESS = 8.0


class RGLRUCell(LinearCell[HiddenCarry]):
    r"""RG-LRU: a diagonal real recurrence, whose decay and input are gated by the input.

    .. math::
        r_t &= \sigma(W_{ir} x_t + b_{ir}), \quad i_t = \sigma(W_{ii} x_t + b_{ii}) \\
        a_t &= \exp(-8 r_t \, softplus(\Lambda)) \\
        h_t &= a_t h_{t-1} + \sqrt{1 - a_t^2} \, (i_t x_t)

    The state has the features of the input. The authors' code leaves out the factor in the first
    step of a sequence; here it is in every step, as in the equation.

    Shapes: x and h (*batch, H), y = h_t. Parameters, gates in the order r i: ``weight_ih``
    (2H, H / heads), ``bias_ih`` (2H,), ``a_param`` (H,), which is Lambda. Initial values: weights
    from N(0, heads / H), biases 0, and Lambda such that a_t^(1 / r_t) is uniform on the ring from
    0.9 to 0.999. The state is computed in float32 for half precision.

    Args:
        hidden_size: int, H, features of the input, the state and the output.
        heads: int, number of blocks of the maps of the gates; 1 by default.
        radius: pair of floats, smallest and largest initial decay, in (0, 1).
        dtype: dtype of the parameters, inputs and outputs; None is JAX's default float.
        rngs: ``nnx.Rngs``, source of the initial values.

    Raises:
        TypeError: a size that is not an int. ValueError: a size below 1, heads that do not divide
            it, an unknown dtype, a radius outside (0, 1).

    Source: S. De et al., "Griffin: mixing gated linear recurrences with local attention for
    efficient language models", 2024, section 2.4.
    """

    def __init__(
        self,
        hidden_size: int,
        *,
        heads: int = 1,
        radius: tuple[float, float] = (0.9, 0.999),
        dtype: DTypeLike | None = None,
        rngs: nnx.Rngs,
    ):
        check_count("hidden_size", hidden_size)
        check_count("heads", heads)
        check_rngs(rngs)
        if hidden_size % heads:
            raise ValueError(f"heads: expected a divisor of hidden_size {hidden_size}, got {heads}")
        low, high = radius
        if not 0 < low < high < 1:
            raise ValueError(f"radius: expected 0 < smallest < largest < 1, got {radius}")
        self.input_size = self.hidden_size = hidden_size
        self.heads = heads
        dtype, size = parameter_dtype(dtype), hidden_size // heads
        normal = initializers.normal(size**-0.5)
        self.weight_ih = parameter(normal, rngs, dtype, 2 * hidden_size, size)
        self.bias_ih = parameter(initializers.zeros, rngs, dtype, 2 * hidden_size)
        squared = initializers.uniform(high**2 - low**2)(
            rngs.params(), (hidden_size,), accumulator(dtype)
        )
        decay = -jnp.log(squared + low**2) / 2 / SHARPNESS
        self.a_param = nnx.Param(jnp.log(jnp.expm1(decay)).astype(dtype))

    def coefficients(self, x: Float[Array, "*batch H"]) -> tuple[HiddenCarry, HiddenCarry]:
        maps = hidden_product(x, self.weight_ih[...], self.hidden_size, self.heads)
        r, i = jnp.split(sigmoid(maps + rows(self.bias_ih, maps)), 2, axis=-1)
        decay = SHARPNESS * r * softplus(rows(self.a_param, r))
        b = jnp.sqrt(-jnp.expm1(-2 * decay)) * i * wide(x)
        return HiddenCarry(jnp.exp(-decay)), HiddenCarry(b)

    def output(self, carry: HiddenCarry, x: Float[Array, "*batch H"]) -> Float[Array, "*batch H"]:
        return carry.h
