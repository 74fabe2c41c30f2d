"""States of cells: what may be passed as one, and what a step must return."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx

from jax_rnn.base.typing import Array, describe

__all__ = ["as_carry", "check_result", "dtype_outside"]


def dtype_outside(dtype: Any, own: Any) -> Any:
    """The dtype of a state in the arguments and results of a layer of dtype ``own``."""
    return own if jnp.issubdtype(dtype, jnp.floating) else dtype


def as_carry(name: str, what: str, value: Any, wanted: Any, dtype: Any, hint: str = "") -> Any:
    """A state that a user passed, as a carry like ``wanted``.

    A state is a tuple or list in the order of the fields, or a NamedTuple with these names; a state
    with one field may also be the array itself. An ``nnx.Variable`` is replaced by its array.

    Args:
        name, what: how messages name the layer or cell, and the state.
        value: the state.
        wanted: a carry of the expected shapes and dtypes.
        dtype: that of the layer or cell, in which a state may be given too.
        hint: the axes of the shapes, in words.

    Raises:
        TypeError: another type. ValueError: other shapes or dtypes.
    """
    fields = wanted._fields
    parts = _parts(value, fields)
    if parts is None and len(fields) == 1:
        parts = (value,)
    if parts is None:
        raise TypeError(
            f"{name}: expected {what} to be a tuple ({', '.join(fields)}), or "
            f"{type(wanted).__name__}, got {describe(value)}"
        )
    arrays = []
    for field, part, leaf in zip(fields, parts, wanted, strict=True):
        outside = dtype_outside(leaf.dtype, dtype)
        if not isinstance(part, Array | np.ndarray):
            raise TypeError(
                f"{name}: expected {field} of {what} to be an array of shape {leaf.shape}, "
                f"got {describe(part)}"
            )
        if part.shape != leaf.shape or part.dtype not in (leaf.dtype, outside):
            raise ValueError(
                f"{name}: expected {field} of {what} to be a {outside} array of shape "
                f"{leaf.shape}{hint}, got {describe(part)}"
                + ("; cast it with .astype" if part.shape == leaf.shape else "")
            )
        arrays.append(jnp.asarray(part, leaf.dtype))
    return type(wanted)(*arrays)


def _parts(value: Any, fields: tuple[str, ...]) -> tuple[Any, ...] | None:
    """The arrays of a state, one per field; None if it is not a state with these fields."""

    def array(part: Any) -> Any:
        return part[...] if isinstance(part, nnx.Variable) else part

    several = isinstance(value, tuple | list)
    if several and len(fields) == 1 and len(value) == 1:
        several = isinstance(value[0], Array | np.ndarray | nnx.Variable)
    parts = tuple(map(array, value)) if several else (array(value),)
    fits = len(parts) == len(fields) and getattr(value, "_fields", fields) == fields
    return parts if fits else None


def check_result(cell: Any, method: str, result: Any, old: Any) -> tuple[Any, Any]:
    """The carry and y that ``step`` or ``update`` of a cell returned, given the carry ``old``.

    Only types, shapes and dtypes are compared, so the check costs nothing in a compiled program.

    Raises:
        TypeError: not a pair of a carry and an array. ValueError: a carry of another form.
    """
    name, kind = type(cell).__name__, type(old).__name__
    pair = isinstance(result, tuple) and len(result) == 2 and type(result[0]) is type(old)
    if not pair or not hasattr(result[1], "shape"):
        got = tuple(map(describe, result)) if isinstance(result, tuple) else describe(result)
        raise TypeError(
            f"{name}: expected {method} to return a {kind} and y, an array, got {got}; write e.g. "
            f"return {kind}({', '.join(old._fields)}), {old._fields[0]}"
        )
    for field, new, before in zip(old._fields, result[0], old, strict=True):
        shape, dtype = jnp.shape(new), jnp.result_type(new)
        if shape != before.shape:
            raise ValueError(
                f"{name}: expected {method} to return {field} of the carry with the shape that it "
                f"has before the step, {before.shape}, got {shape}"
            )
        if dtype != before.dtype:
            raise ValueError(
                f"{name}: expected {method} to return {field} of the carry with the dtype that it "
                f"has before the step, {before.dtype}, got {dtype}; {_remedy(cell, field)}"
            )
    return result


def _remedy(cell: Any, field: str) -> str:
    params = nnx.state(cell, nnx.Param)
    dtypes = sorted({str(leaf.dtype) for _, leaf in nnx.to_flat_state(params)})
    if len(dtypes) > 1:
        return (
            f"its parameters are of {' and '.join(dtypes)}; give modules of Flax the dtype of the "
            "cell, nnx.Linear(..., param_dtype=dtype)"
        )
    return f"write {field}.astype(carry.{field}.dtype)"
