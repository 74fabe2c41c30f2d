"""What a layer is called with and returns: the input, and the states of its cells."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jax_rnn.cells.base import Cell, state_parts
from jax_rnn.typing import Array, Size, describe

__all__ = [
    "LayerState",
    "check_features",
    "check_input",
    "check_layer_state",
    "final_state",
    "initial_carries",
    "recorded",
]


class LayerState(NamedTuple):
    """The state of a layer between two calls of ``step``."""

    carries: tuple[Any, ...]
    """The carry of every cell."""
    time: Array
    """Number of steps so far; random numbers depend on it."""
    key: Any
    """Key of the random numbers; None in evaluation mode."""


def check_input(name: str, input: Any, cell: Cell, batch_first: bool) -> None:
    """Check the input of all steps, which ``cell`` reads."""
    axes = cell.num_feature_axes
    if not isinstance(input, Array | np.ndarray):
        raise TypeError(
            f"{name}: expected the input to be an array, got {describe(input)}; "
            "use jnp.asarray, and lengths= for sequences of different lengths"
        )
    if input.ndim < axes + 1:
        features = ", ".join(["_"] * (axes - 1) + ["I"])
        layout = f"(B, T, {features})" if batch_first else f"(T, B, {features})"
        raise ValueError(
            f"{name}: expected an input of shape {layout}, or (T, {features}) without a batch, "
            f"got {input.shape}"
        )
    check_features(name, input, cell)
    if input.shape[input.ndim - axes - 1 if batch_first else 0] == 0:
        raise ValueError(
            f"{name}: expected at least one time step, got none in shape {input.shape}"
        )


def check_features(name: str, input: Any, cell: Cell) -> None:
    """Check the number of features and the dtype of the input of one or all steps."""
    if input.shape[-1] != cell.input_size:
        raise ValueError(
            f"{name}: expected {cell.input_size} input features, got {input.shape[-1]}; the "
            "last axis of the input holds the features"
        )
    if input.dtype != cell.dtype:
        raise ValueError(
            f"{name}: expected an input of dtype {cell.dtype}, that of the parameters, "
            f"got {input.dtype}; cast the input with .astype, or build the layer with dtype="
        )


def check_layer_state(name: str, state: Any) -> None:
    if not isinstance(state, LayerState):
        raise TypeError(
            f"{name}: expected a LayerState, got {describe(state)}; start with "
            "layer.initial_state(batch)"
        )


def initial_carries(
    name: str, cells: list[Cell], batch: tuple[Size, ...], hx: Any, dtype: Any
) -> list[Any]:
    """Check ``hx``, and return the initial carry of every cell."""
    initialize = [partial(cell.initialize_carry, (*batch, cell.input_size)) for cell in cells]
    if hx is None:
        return [carry() for carry in initialize]
    wanted: list[Any] = [jax.eval_shape(carry) for carry in initialize]
    if not _alike(wanted):
        return _unlike_carries(name, hx, wanted)
    first = wanted[0]
    parts = state_parts(hx, first._fields)
    if parts is None and len(first) == 1:
        parts = (hx,)
    if parts is None:
        raise TypeError(
            f"{name}: expected hx to be a tuple ({', '.join(first._fields)}), got {describe(hx)}"
        )
    for field, value, leaf in zip(first._fields, parts, first, strict=True):
        shape, own = (len(cells), *leaf.shape), _dtype_outside(leaf.dtype, dtype)
        if not isinstance(value, Array | np.ndarray):
            raise TypeError(
                f"{name}: expected {field} of hx to be an array of shape {shape}, "
                f"got {describe(value)}"
            )
        if value.shape != shape or value.dtype != own:
            raise ValueError(
                f"{name}: expected {field} of hx to be a {own} array of shape {shape}, "
                f"(layers * directions, {'batch, ' if batch else ''}features) for any "
                f"batch_first, got {describe(value)}"
            )
    return [
        type(first)(*(part[k].astype(leaf.dtype) for part, leaf in zip(parts, first, strict=True)))
        for k in range(len(cells))
    ]


def _unlike_carries(name: str, hx: Any, wanted: list[Any]) -> list[Any]:
    """The carries of cells that differ, given one by one."""
    if not isinstance(hx, tuple | list) or len(hx) != len(wanted):
        raise TypeError(
            f"{name}: expected hx to be a tuple of {len(wanted)} carries, one for each cell, "
            f"since they differ, got {describe(hx)}"
        )
    carries = []
    for k, (given, carry) in enumerate(zip(hx, wanted, strict=True)):
        parts = state_parts(given, carry._fields)
        shapes = {field: leaf.shape for field, leaf in carry._asdict().items()}
        if parts is None or any(
            getattr(part, "shape", None) != leaf.shape
            for part, leaf in zip(parts, carry, strict=True)
        ):
            raise ValueError(
                f"{name}: expected hx[{k}] to be {type(carry).__name__} with arrays of shapes "
                f"{shapes}, got {describe(given)}"
            )
        leaves = zip(parts, carry, strict=True)
        carries.append(type(carry)(*(p.astype(leaf.dtype) for p, leaf in leaves)))
    return carries


def final_state(carries: list[Any], dtype: Any) -> Any:
    """The last carries in the layout of ``hx``."""
    carries = [jax.tree.map(lambda leaf: _narrow(leaf, dtype), c) for c in carries]
    if not _alike(carries):
        return tuple(carries)
    h_n = jax.tree.map(lambda *states: jnp.stack(states), *carries)
    return h_n[0] if len(h_n) == 1 else h_n


def _alike(carries: list[Any]) -> bool:
    """Whether carries have the same type, shapes and dtypes, so that they can be stacked."""
    kinds = {(type(carry), *((leaf.shape, leaf.dtype) for leaf in carry)) for carry in carries}
    return len(kinds) == 1


def _dtype_outside(dtype: Any, own: Any) -> Any:
    """The dtype of a state in the layer's arguments and results."""
    return own if jnp.issubdtype(dtype, jnp.floating) else dtype


def recorded(leaf: Array, *, dtype: Any, at: int) -> Array:
    """A state of every step in the dtype of a layer, with time as axis ``at``."""
    return jnp.moveaxis(_narrow(leaf, dtype), 0, at)


def _narrow(leaf: Array, own: Any) -> Array:
    return leaf.astype(_dtype_outside(leaf.dtype, own))
