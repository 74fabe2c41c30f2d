"""Cells whose state is a linear recurrence with coefficients computed from the input alone."""

from abc import abstractmethod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jax_rnn.cells.base import Cell
from jax_rnn.typing import Array, CarryT, Float, Size

__all__ = ["Coefficients", "LinearCell", "is_linear"]


class Coefficients(NamedTuple):
    """The projected input of a ``LinearCell``: both coefficients as carries, and the input."""

    a: Any
    b: Any
    x: Any


class LinearCell(Cell[CarryT]):
    r"""An elementwise linear recurrence, which can run in parallel over time.

    .. math::
        h_t = a_t h_{t-1} + b_t \qquad y_t = output(h_t, x_t)

    where a_t and b_t, real or complex, depend only on x_t. A subclass implements ``coefficients``
    and ``output``; ``step`` and ``initialize_carry`` follow from them::

        class LeakyCell(LinearCell[HiddenCarry]):
            def __init__(self, size):
                self.input_size = self.hidden_size = size
                self.rate = nnx.Param(jnp.zeros(size))

            def coefficients(self, x):
                a = jnp.broadcast_to(sigmoid(self.rate[...]), x.shape)
                return HiddenCarry(a), HiddenCarry((1 - a) * x)

            def output(self, carry, x):
                return carry.h

    It runs under every scan; ``Associative`` is made for it.
    """

    @abstractmethod
    def coefficients(self, x: Float[Array, "*batch I"]) -> tuple[CarryT, CarryT]:
        """a and b, each a carry of arrays (*batch, ...); x may have a time axis."""

    @abstractmethod
    def output(self, carry: CarryT, x: Float[Array, "*batch I"]) -> Float[Array, "*batch O"]:
        """y, (*batch, output_size), given the new carry; both may have a time axis."""

    def initialize_carry(
        self, input_shape: tuple[Size, ...], rngs: Any = None, carry_init: Any = None
    ) -> CarryT:
        """Zeros of the shapes and dtypes of the coefficients."""
        x = jax.ShapeDtypeStruct(input_shape, self.dtype)
        _, b = jax.eval_shape(self.coefficients, x)
        return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), b)

    def project(self, x: Float[Array, "*batch I"]) -> Coefficients:
        return Coefficients(*self.coefficients(x), x)

    def step(self, carry: CarryT, x: Coefficients) -> tuple[CarryT, Float[Array, "*batch O"]]:
        new = jax.tree.map(lambda a, h, b: a * h + b, x.a, carry, x.b)
        return new, self.output(new, x.x).astype(self.dtype)


def is_linear(cell: Any) -> bool:
    """Whether a cell is a ``LinearCell`` whose steps follow from its coefficients."""
    kind = type(cell)
    return issubclass(kind, LinearCell) and all(
        getattr(kind, name) is getattr(LinearCell, name) for name in ("project", "step")
    )
