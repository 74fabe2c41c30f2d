"""What cells of the literature share: parameters, and the documentation of their arguments."""

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from flax import nnx
from jax import lax

from jax_rnn.base.typing import Array, accumulator

__all__ = ["parameter", "rows", "wide", "with_arguments"]

KindT = TypeVar("KindT", bound=type)

ARGUMENTS = """\
Args:
    input_size: int, I, features of the input.
    hidden_size: int, H, features of the hidden state.
    bias: bool, whether both maps have a bias; True by default.
    heads: int, number of blocks of the hidden map; 1 (default) is dense, H is diagonal.
    init: initial distribution, ``"torch"``, ``"flax"`` or an ``initializers.Scheme``; None
        (default) is the one above.
    dtype: dtype of the parameters, inputs and outputs; None is JAX's default float.
    rngs: ``nnx.Rngs``, source of the initial values.

Raises:
    TypeError: a size that is not an int. ValueError: a size below 1, heads that do not divide
        it, an unknown init or dtype.

"""


def with_arguments(kind: KindT) -> KindT:
    """Add the arguments of ``AffineCell`` to the docstring of a cell, before its source."""
    text = inspect.cleandoc(kind.__doc__ or "")
    kind.__doc__ = text.replace("Source:", ARGUMENTS + "Source:", 1)
    return kind


def parameter(draw: Callable[..., Array], rngs: nnx.Rngs, dtype: Any, *shape: int) -> nnx.Param:
    """A parameter from an initializer of JAX, drawn in float32 for half precision."""
    return nnx.Param(draw(rngs.params(), shape, accumulator(dtype)).astype(dtype))


def wide(value: Any) -> Array:
    """A parameter or an array in float32, if it is in half precision."""
    return value[...].astype(accumulator(value.dtype))


def rows(value: Any, x: Array) -> Array:
    """A parameter of features, in float32 and with the rank of ``x``, (*batch, features)."""
    value = wide(value)
    return lax.expand_dims(value, range(x.ndim - value.ndim))
