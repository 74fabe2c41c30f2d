"""What a cell reads at each step: an array, or a tree of arrays."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.core import FrozenDict, freeze, unfreeze

from jax_rnn.base.typing import Array, Size, describe

__all__ = [
    "Setting",
    "batch_of",
    "check_input",
    "example",
    "input_like",
    "is_one_array",
    "lead",
    "leaves_of",
    "of_lead",
    "output_axes",
    "shape_of",
]


class Setting:
    """An attribute of a cell with a default, which instances, classes and properties can set.

    It may be a tree of values, one for each array of the input. A dict is stored in a form that
    ``jax.jit`` can hash.
    """

    def __init__(self, default: Callable[[Any], Any] | None = None):
        self.default = default

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, cell: Any, owner: type | None = None) -> Any:
        if cell is None:
            return self
        if self.name in vars(cell):
            value = vars(cell)[self.name]
            return unfreeze(value) if isinstance(value, FrozenDict) else value
        if self.default is None:
            raise AttributeError(
                f"{type(cell).__name__}: expected {self.name} to be set, got none; write e.g. "
                f"self.{self.name} = {self.name} in __init__",
                name=self.name,
                obj=cell,
            )
        return self.default(cell)

    def __set__(self, cell: Any, value: Any) -> None:
        vars(cell)[self.name] = freeze(value) if isinstance(value, dict) else value

    def __delete__(self, cell: Any) -> None:
        del vars(cell)[self.name]


def is_one_array(cell: Any) -> bool:
    """Whether the cell reads one array, not a tree of them."""
    return jax.tree.structure(cell.input_size) == jax.tree.structure(0)


def leaves_of(cell: Any, x: Any) -> list[tuple[Any, int, Any, Any]]:
    """Every array of an input with its number of feature axes, size and dtype."""
    sizes, structure = jax.tree.flatten(cell.input_size)

    def each(setting: Any) -> list[Any]:
        found = jax.tree.leaves(setting, is_leaf=lambda leaf: leaf is None)
        return found * len(sizes) if len(found) == 1 else found

    dtypes = [cell.dtype if wanted is None else wanted for wanted in each(cell.input_dtype)]
    arrays = structure.flatten_up_to(x)
    return list(zip(arrays, each(cell.num_feature_axes), sizes, dtypes, strict=True))


def batch_of(cell: Any, x: Any) -> tuple[Size, ...]:
    """The batch axes of an input of one step, or its shape before the features."""
    leaf, axes, *_ = leaves_of(cell, x)[0]
    return tuple(leaf.shape[: len(leaf.shape) - axes])


def lead(cell: Any, x: Any) -> tuple[Size, ...]:
    """All axes of an input except the features of its last axis, as random numbers have them."""
    batch = batch_of(cell, x)
    if not is_one_array(cell) or cell.num_feature_axes < 2:
        return batch
    return tuple(x.shape[:-1])


def of_lead(cell: Any, lead: tuple[Size, ...]) -> Any:
    """Shapes and dtypes of an input with these leading axes, see ``lead``."""
    if not is_one_array(cell) or cell.num_feature_axes == 0:
        return example(cell, lead)
    return input_like(cell, (*lead, cell.input_size))


def output_axes(cell: Any) -> int:
    """The number of feature axes of y: that of the input, and at least one."""
    return max(1, *jax.tree.leaves(cell.num_feature_axes))


def input_like(cell: Any, input_shape: Any) -> Any:
    """Shapes and dtypes of an input, given its ``input_shape``."""
    structure = jax.tree.structure(cell.input_size)
    leaves = [
        jax.ShapeDtypeStruct(shape, jnp.int32 if dtype is jnp.integer else dtype)
        for shape, _, _, dtype in leaves_of(cell, input_shape)
    ]
    return jax.tree.unflatten(structure, leaves)


def example(cell: Any, batch: tuple[Size, ...] = (), pixels: Size = 1) -> Any:
    """Shapes and dtypes of an input of one step; images have ``pixels`` along each axis."""
    structure = jax.tree.structure(cell.input_size)
    none = jax.tree.unflatten(structure, [()] * structure.num_leaves)
    shapes = [
        (*batch, *(pixels,) * (axes - 1), *(size,) * (axes > 0))
        for _, axes, size, _ in leaves_of(cell, none)
    ]
    return input_like(cell, jax.tree.unflatten(structure, shapes))


def shape_of(x: Any) -> Any:
    """``input_shape`` of an input: its shape, or a tree of shapes."""
    return jax.tree.map(lambda leaf: tuple(leaf.shape), x)


def check_input(name: str, cell: Any, x: Any, layout: str = "*batch, ", least: int = 0) -> None:
    """Check the structure, features and dtypes of an input.

    ``layout`` are the axes before the features, as messages show them; there are at least
    ``least``.

    Raises:
        TypeError: not arrays, or another tree than that of ``input_size``.
        ValueError: other features or dtypes.
    """
    if not is_one_array(cell):
        _check_structure(name, cell, x)
    for leaf, axes, size, dtype in leaves_of(cell, x):
        if not isinstance(leaf, Array | np.ndarray):
            raise TypeError(
                f"{name}: expected the input to be an array, got {describe(leaf)}; "
                "use jnp.asarray, and lengths= for sequences of different lengths"
            )
        if leaf.ndim < axes + least:
            inner = ", ".join(["_"] * (axes - 1) + ["I" if least else str(size)] * (axes > 0))
            raise ValueError(
                f"{name}: expected an input of shape ({layout}{inner})"
                + (f", or (T, {inner}) without a batch" if least else "")
                + f", got {leaf.shape}"
            )
        _check_dtype(name, leaf, size, dtype)
        if axes and leaf.shape[-1] != size:
            inner = ", ".join(["_"] * (axes - 1) + [str(size)])
            expected = f"{size} input features" if least else f"an input of shape ({layout}{inner})"
            got = leaf.shape[-1] if least else leaf.shape
            raise ValueError(
                f"{name}: expected {expected}, got {got}; the last axis of the input holds the "
                "features"
            )


def _check_structure(name: str, cell: Any, x: Any) -> None:
    expected, found = jax.tree.structure(cell.input_size), jax.tree.structure(x)
    if found != expected:
        raise TypeError(
            f"{name}: expected an input with the structure of input_size, {cell.input_size}, got "
            f"{describe(x) if jax.tree_util.treedef_is_leaf(found) else found}"
        )


def _check_dtype(name: str, leaf: Any, size: Any, dtype: Any) -> None:
    if jnp.issubdtype(leaf.dtype, dtype):
        return
    wanted = getattr(dtype, "__name__", dtype)
    if jnp.issubdtype(leaf.dtype, jnp.integer) and jnp.issubdtype(dtype, jnp.inexact):
        raise ValueError(
            f"{name}: expected an input of dtype {wanted}, that of the parameters, got "
            f"{leaf.dtype}; cast numbers with .astype, and use jax_rnn.Embedding or "
            f"jax.nn.one_hot(tokens, {size}) for tokens"
        )
    if not jnp.issubdtype(dtype, jnp.inexact):
        raise ValueError(
            f"{name}: expected an input of dtype {wanted}, got {leaf.dtype}; use .astype(int)"
        )
    raise ValueError(
        f"{name}: expected an input of dtype {wanted}, that of the parameters, "
        f"got {leaf.dtype}; cast the input with .astype, or build the layer with dtype= (modules "
        "of Flax: param_dtype=)"
    )
