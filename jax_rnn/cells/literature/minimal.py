"""Cells whose gates read the input alone, and a state between its past and a candidate."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import nnx

from jax_rnn.base.arguments import check_count, check_rngs, parameter_dtype
from jax_rnn.base.initializers import Init, resolve
from jax_rnn.base.typing import Array, DTypeLike, Float, accumulator
from jax_rnn.cells.affine import affine
from jax_rnn.cells.base import HiddenCarry
from jax_rnn.cells.linear import LinearCell

__all__ = ["MinimalCell"]


class MinimalCell(LinearCell[HiddenCarry]):
    """A linear cell with the gates of a subclass, of which the last is the candidate."""

    gates: ClassVar[tuple[str, ...]]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        positive: bool = False,
        init: Init = "torch",
        dtype: DTypeLike | None = None,
        rngs: nnx.Rngs,
    ):
        check_count("input_size", input_size)
        check_count("hidden_size", hidden_size)
        check_rngs(rngs)
        self.input_size, self.hidden_size = input_size, hidden_size
        self.bias, self.positive = bias, positive
        dtype, scheme, gates = parameter_dtype(dtype), resolve(init), len(self.gates)

        def parameter(draw: Any) -> nnx.Param:
            drawn = draw(rngs.params(), gates, hidden_size, input_size, accumulator(dtype))
            return nnx.Param(drawn.astype(dtype))

        self.weight_ih = parameter(scheme.weight_ih)
        self.bias_ih = parameter(scheme.bias) if bias else None

    def initialize_carry(
        self, input_shape: Any, rngs: Any = None, carry_init: Any = None
    ) -> HiddenCarry:
        """Zeros, or g(0) = 1/2 with ``positive``, (*batch, H)."""
        shape = (*input_shape[:-1], self.hidden_size)
        return HiddenCarry(jnp.full(shape, 0.5 * self.positive, accumulator(self.dtype)))

    def maps(self, x: Float[Array, "*batch I"]) -> tuple[Float[Array, "*batch H"], ...]:
        """The affine map of each gate, and the candidate."""
        y = affine(x, self.weight_ih, self.bias_ih)
        *gates, n = jnp.split(y, len(self.gates), axis=-1)
        return *gates, _positive(n) if self.positive else n

    def output(self, carry: HiddenCarry, x: Float[Array, "*batch I"]) -> Float[Array, "*batch H"]:
        return carry.h


def _positive(x: Array) -> Array:
    """x + 1/2 above 0, and its logistic function below."""
    return jnp.where(x >= 0, x + 0.5, jax.nn.sigmoid(x))
