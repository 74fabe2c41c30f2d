"""Names for arrays and their axes.

Shapes in signatures use one letter per axis: B (batch), T (time), I (input features), H (hidden
features), G (gates), L (layers times directions). ``*batch`` is any number of leading axes.
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
"""An int, or a symbolic size of ``jax.export``."""

if TYPE_CHECKING:
    State = Array | tuple[Array, ...]
else:
    State = Any  # other types are refused with a message
"""The state of a layer: an array, or a tuple of arrays if the carry has several."""


def default_float() -> jnp.dtype:
    """JAX's default float: float32, or float64 under ``jax.enable_x64``."""
    return jnp.result_type(float)


def accumulator(dtype: DTypeLike) -> jnp.dtype:
    """The dtype of sums and carries: float32 for half precision, otherwise the dtype itself."""
    with jax.numpy_dtype_promotion("standard"):
        return jnp.promote_types(dtype, jnp.float32)


def is_symbolic(size: Size) -> bool:
    """Whether a size is symbolic, so that it cannot be compared."""
    return not isinstance(size, int)


def as_numpy(value: Any) -> np.ndarray:
    """An array, a number, nested lists of them, or a torch tensor as a NumPy array."""
    if hasattr(value, "detach"):  # a tensor; NumPy itself has no bfloat16
        value = value.detach().cpu()
        if str(value.dtype) == "torch.bfloat16":
            return value.float().numpy().astype(jnp.bfloat16)
        return value.numpy()
    return np.asarray(value)


def floats_of(tree: PyTree) -> tuple[PyTree, PyTree]:
    """The arrays of a tree that have derivatives, and the others; None in place of the rest."""

    def pick(wanted: bool) -> PyTree:
        def leaf(x: Any) -> Any:
            return x if jnp.issubdtype(jnp.result_type(x), jnp.inexact) == wanted else None

        return jax.tree.map(leaf, tree)

    return pick(True), pick(False)


def combined(floats: PyTree, others: PyTree) -> PyTree:
    """The tree of which ``floats_of`` returned the parts."""
    return jax.tree.map(lambda a, b: b if a is None else a, floats, others, is_leaf=_is_none)


def _is_none(leaf: Any) -> bool:
    return leaf is None


def describe(value: Any) -> str:
    """Description of a value for an error message."""
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
    "combined",
    "default_float",
    "describe",
    "floats_of",
    "is_symbolic",
]
