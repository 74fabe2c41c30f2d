"""Cells whose state is a linear recurrence with coefficients computed from the input alone."""

from abc import abstractmethod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jax_rnn.base.typing import Array, CarryT, Float, Size, accumulator, describe
from jax_rnn.cells.base import Cell, Noise, call, taken_by
from jax_rnn.cells.final import final
from jax_rnn.cells.inputs import batch_of, input_like
from jax_rnn.cells.states import check_result

__all__ = ["Blocks", "Coefficients", "LinearCell", "product", "product_of_two"]

SMALL = 4
"""Largest matrices whose products are computed elementwise."""

COEFFICIENTS = "write coefficients and output"


class Blocks(NamedTuple):
    """A coefficient a_t that mixes the last axis of the state: matrices (*batch, ..., n, n).

    The field of the carry is (*batch, ..., n); axes of the matrices may be missing or 1 where all
    are the same.
    """

    a: Any


class Coefficients(NamedTuple):
    """The projected input of a ``LinearCell``: both coefficients as carries, and the input."""

    a: Any
    b: Any
    x: Any


class LinearCell(Cell[CarryT]):
    r"""A linear recurrence, elementwise or in small blocks, which can run in parallel over time.

    .. math::
        h_t = a_t h_{t-1} + b_t \qquad y_t = output(h_t, x_t)

    where a_t and b_t, real or complex, depend only on x_t. A subclass implements ``coefficients``
    and ``output``; ``step`` and ``initialize_carry`` follow from them::

        class LeakyCell(LinearCell[HiddenCarry]):
            def __init__(self, size):
                self.input_size = self.hidden_size = size
                self.rate = nnx.Param(jnp.zeros(size))

            def coefficients(self, x):
                a = sigmoid(self.rate[...])
                return HiddenCarry(a), HiddenCarry((1 - a) * x)

            def output(self, carry, x):
                return carry.h

    In a field whose a is ``Blocks(matrices)``, the product is that of matrices with the last axis
    of the state, e.g. of 2x2 matrices with a position and a velocity.

    It runs under every scan; ``Associative`` is made for it.
    """

    @abstractmethod
    def coefficients(self, x: Any) -> tuple[CarryT, CarryT]:
        """a and b, each a carry; b has arrays (*batch, ...), a what can be broadcast to them."""

    @abstractmethod
    def output(self, carry: CarryT, x: Any) -> Float[Array, "*batch O"]:
        """y, (*batch, output_size), given the new carry."""

    def initialize_carry(
        self, input_shape: Any, rngs: Any = None, carry_init: Any = None
    ) -> CarryT:
        """Zeros of the shapes and dtypes of b; of H features if it depends on the context."""
        x = input_like(self, input_shape)
        if "context" in (taken_by(type(self).coefficients) or ()):
            shape, dtype = (*batch_of(self, x), self.hidden_size), accumulator(self.dtype)
            return self.carry_type(*(jnp.zeros(shape, dtype) for _ in self.carry_type._fields))
        _, b = jax.eval_shape(lambda x: call(self.coefficients, x), x)
        return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), b)

    @final(COEFFICIENTS)
    def project(self, x: Any) -> Coefficients:
        return self._project(x, None, None)

    @final(COEFFICIENTS)
    def step(
        self, carry: CarryT, x: Any, noise: Noise | None = None, context: Any = None
    ) -> tuple[CarryT, Any]:
        if not isinstance(x, Coefficients):
            raise TypeError(
                f"{type(self).__name__}.step: expected the result of project, got {describe(x)}; "
                "cell(carry, x) is a whole step"
            )
        return self._step_inside(self, carry, x, noise, context)

    def _project(self, x: Any, noise: Noise | None, context: Any) -> Coefficients:
        a, b = call(self.coefficients, x, noise=noise, context=context)
        kind: Any = type(b)
        return Coefficients(kind(*map(_like, a, b)), b, x)

    def _step_inside(
        self, cell: Any, carry: CarryT, x: Coefficients, noise: Noise | None, context: Any
    ) -> tuple[CarryT, Any]:
        kind: Any = type(carry)
        new = kind(*(_times(a, h) + b for a, h, b in zip(x.a, carry, x.b, strict=True)))  # pyright: ignore
        y = call(self.output, new, x.x, noise=cell._own(noise), context=context)
        new, y = check_result(self, "coefficients", (new, y), carry)
        new, y = cell._changed(carry, new, y, noise, context)
        return new, y.astype(self.dtype)


def _like(a: Any, b: Array) -> Any:
    """The coefficient with the axes of b; those along which it does not vary have length 1.

    What is the same for all rows, as in a time-invariant recurrence, is not stored for each.
    """
    if isinstance(a, Blocks):
        return Blocks(_with_axes(a.a, (*b.shape, b.shape[-1])))
    return _with_axes(a, b.shape)


def _with_axes(a: Any, shape: tuple[Size, ...]) -> Array:
    a = jnp.asarray(a)
    ends = zip(reversed(a.shape), reversed(shape), strict=False)
    if a.ndim > len(shape) or not all(size in (1, of_b) for size, of_b in ends):
        raise ValueError(
            f"coefficients: expected a that can be broadcast to {shape}, the shape of b (with its "
            f"last axis twice if a is Blocks), got {a.shape}"
        )
    return a.reshape((1,) * (len(shape) - a.ndim) + a.shape)


def _times(a: Any, h: Array) -> Array:
    """The product of a coefficient and a state."""
    return product(a.a, h) if isinstance(a, Blocks) else a * h


def product(matrices: Array, h: Array) -> Array:
    """Matrices (..., n, n) times vectors (..., n); elementwise if n is small."""
    if matrices.shape[-1] <= SMALL:
        return (matrices * h[..., None, :]).sum(-1)
    return jnp.matmul(matrices, h[..., None], precision="highest")[..., 0]


def product_of_two(a: Array, b: Array) -> Array:
    """The product of matrices (..., n, n); elementwise if n is small."""
    if a.shape[-1] <= SMALL:
        return (a[..., None] * b[..., None, :, :]).sum(-2)
    return jnp.matmul(a, b, precision="highest")
