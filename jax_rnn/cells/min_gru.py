"""The minimal gated recurrent unit, whose gate does not read the state."""

from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax.nn import sigmoid

from jax_rnn.base.arguments import check_count, check_rngs, parameter_dtype
from jax_rnn.base.initializers import Init, resolve
from jax_rnn.base.typing import Array, DTypeLike, Float, accumulator
from jax_rnn.cells.affine import affine
from jax_rnn.cells.base import HiddenCarry
from jax_rnn.cells.linear import LinearCell

__all__ = ["MinGRUCell"]


class MinGRUCell(LinearCell[HiddenCarry]):
    r"""A GRU without the hidden map and the reset gate, so that it runs in parallel over time.

    .. math::
        z_t &= \sigma(W_{iz} x_t + b_{iz}) \\
        n_t &= W_{in} x_t + b_{in} \\
        h_t &= (1 - z_t) h_{t-1} + z_t n_t

    Shapes: x (*batch, I), h (*batch, H), y = h_t. Parameters, gates in the order z n:
    ``weight_ih`` (2H, I), ``bias_ih`` (2H,). The recurrence is computed in float32 for half
    precision.

    Args:
        input_size: int, I, features of the input.
        hidden_size: int, H, features of the hidden state.
        bias: bool, whether the map has a bias; True by default.
        init: initial distribution, ``"torch"`` (default), ``"flax"`` or an ``initializers.Scheme``.
        dtype: dtype of the parameters, inputs and outputs; None is JAX's default float.
        rngs: ``nnx.Rngs``, source of the initial values.

    Raises:
        TypeError: a size that is not an int. ValueError: a size below 1, an unknown init or dtype.

    Source: L. Feng et al., "Were RNNs all we needed?", 2024, section 3.1 and appendix A.
    """

    gates = ("z", "n")

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        init: Init = "torch",
        dtype: DTypeLike | None = None,
        rngs: nnx.Rngs,
    ):
        check_count("input_size", input_size)
        check_count("hidden_size", hidden_size)
        check_rngs(rngs)
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        dtype, scheme = parameter_dtype(dtype), resolve(init)

        def parameter(draw: Any) -> nnx.Param:
            drawn = draw(rngs.params(), 2, hidden_size, input_size, accumulator(dtype))
            return nnx.Param(drawn.astype(dtype))

        self.weight_ih = parameter(scheme.weight_ih)
        self.bias_ih = parameter(scheme.bias) if bias else None

    def coefficients(self, x: Float[Array, "*batch I"]) -> tuple[HiddenCarry, HiddenCarry]:
        z, n = jnp.split(affine(x, self.weight_ih, self.bias_ih), 2, axis=-1)
        z = sigmoid(z)
        return HiddenCarry(1 - z), HiddenCarry(z * n)

    def output(self, carry: HiddenCarry, x: Float[Array, "*batch I"]) -> Float[Array, "*batch H"]:
        return carry.h
