"""Names for arrays and their axes.

Shapes in signatures use one letter an axis: B (batch), T (time), I (input features), H (hidden
features), G (gates), L (layers times directions). ``*batch`` stands for any number of leading axes.
"""

from typing import TYPE_CHECKING, Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import DTypeLike
from jaxtyping import Bool, Float, Integer, PyTree

CarryT = TypeVar("CarryT")

Size = Any
"""An int, or a symbolic size of ``jax.export``, which stands for any number."""

if TYPE_CHECKING:
    State = Array | tuple[Array, ...]
else:
    State = Any  # what is none is refused in words
"""The state of a layer: an array, or a tuple of them where the cell carries several."""


def default_float() -> jnp.dtype:
    """JAX's own default: float32, or float64 under ``jax.enable_x64``."""
    return jnp.result_type(float)


def accumulator(dtype: DTypeLike) -> jnp.dtype:
    """Where sums and carries of that dtype are kept: float32 for half precision, else itself."""
    with jax.numpy_dtype_promotion("standard"):
        return jnp.promote_types(dtype, jnp.float32)


def is_symbolic(size: Size) -> bool:
    """Whether a size stands for any number, so that it cannot be compared."""
    return not isinstance(size, int)


def as_numpy(value: Any) -> np.ndarray:
    """An array, a number, nested lists of them, or a tensor of torch, as NumPy sees it."""
    if hasattr(value, "detach"):  # a tensor; NumPy itself has no bfloat16
        value = value.detach().cpu()
        if str(value.dtype) == "torch.bfloat16":
            return value.float().numpy().astype(jnp.bfloat16)
        return value.numpy()
    return np.asarray(value)


def describe(value: Any) -> str:
    """What came, for the message of an error."""
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)}"
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        article = "an" if str(value.dtype)[0] in "aeiou" else "a"
        return f"{article} {value.dtype} array of shape {tuple(value.shape)}"
    return type(value).__name__


__all__ = [
    "Array",
    "Bool",
    "CarryT",
    "DTypeLike",
    "Float",
    "Integer",
    "PyTree",
    "Size",
    "State",
    "accumulator",
    "as_numpy",
    "default_float",
    "describe",
    "is_symbolic",
]
