"""What a layer is called with and returns: the input, and the states of its cells."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.core import Tracer

from jax_rnn.base.typing import Array, describe
from jax_rnn.cells.base import Cell
from jax_rnn.cells.inputs import check_input, leaves_of, shape_of
from jax_rnn.cells.states import as_carry, dtype_outside

__all__ = [
    "LayerState",
    "check_context",
    "check_layer_state",
    "check_sequence",
    "final_state",
    "initial_carries",
    "laid_out",
    "mesh_of",
]


class LayerState(NamedTuple):
    """The state of a layer between two calls of ``step``."""

    carries: tuple[Any, ...]
    """The carry of every cell."""
    time: Array
    """Number of steps so far; random numbers depend on it."""
    key: Any
    """Key of the random numbers; None in evaluation mode."""


def check_sequence(name: str, input: Any, cell: Cell, batch_first: bool) -> None:
    """Check the input of all steps, which ``cell`` reads."""
    check_input(name, cell, input, "B, T, " if batch_first else "T, B, ", least=1)
    outer = {leaf.shape[: leaf.ndim - axes] for leaf, axes, *_ in leaves_of(cell, input)}
    if len(outer) > 1:
        raise ValueError(
            f"{name}: expected input arrays with the same numbers of steps and sequences, got "
            f"{sorted(outer, key=str)}"
        )
    (shape,) = outer
    if shape[-1 if batch_first else 0] == 0:
        raise ValueError(
            f"{name}: expected at least one time step, got none in shape {shape_of(input)}"
        )


@contextmanager
def mesh_of(name: str, layer: Any, input: Any) -> Iterator[None]:
    """Context in which loops over arrays on an explicit mesh can be traced, if none is set."""
    leaves = jax.tree.leaves(input)
    meshes = [getattr(jax.typeof(leaf).sharding, "mesh", None) for leaf in leaves]
    found = [mesh for mesh in meshes if mesh is not None and mesh.explicit_axes]
    traced = any(isinstance(leaf, Tracer) for leaf in (*leaves, *jax.tree.leaves(layer)))
    if not found or not traced or not jax.sharding.get_abstract_mesh().empty:
        yield
        return
    try:
        with jax.sharding.use_abstract_mesh(found[0]):
            yield
    except ValueError as error:
        if "lowering_platforms" not in str(error):
            raise
        raise ValueError(
            f"{name}: expected a mesh to be set for derivatives of an input with explicit axes "
            f"{found[0].explicit_axes}, got none; call jax.set_mesh(mesh) before, or use jax.jit"
        ) from error


def check_context(name: str, context: Any, cells: list[Cell]) -> None:
    """Check that some cell reads the context, and that it is a tree of arrays."""
    if context is None:
        return
    if not any(cell._takes("context") for cell in cells):
        kinds = ", ".join(dict.fromkeys(type(cell).__name__ for cell in cells))
        raise TypeError(
            f"{name}: expected no context, since no method of {kinds} has an argument of this name"
            f", got {describe(context)}"
        )
    for leaf in jax.tree.leaves(context):
        if not hasattr(leaf, "shape"):
            raise TypeError(
                f"{name}: expected context to be arrays, got {describe(leaf)}; use jnp.asarray"
            )


def check_layer_state(name: str, state: Any) -> None:
    if not isinstance(state, LayerState):
        raise TypeError(
            f"{name}: expected a LayerState, got {describe(state)}; start with "
            "layer.initial_state(batch)"
        )


def initial_carries(name: str, inputs: list[tuple[Cell, Any]], hx: Any, dtype: Any) -> list[Any]:
    """Check ``hx``, and return the initial carry of every cell; ``inputs`` is what each reads."""
    pairs = [(cell, shape_of(x)) for cell, x in inputs]
    if hx is None:
        return [cell.initialize_carry(shape) for cell, shape in pairs]
    wanted: list[Any] = [
        jax.eval_shape(lambda c=cell, s=shape: c.initialize_carry(s)) for cell, shape in pairs
    ]
    if _alike(wanted):
        return _stacked(name, hx, wanted, dtype)
    if not isinstance(hx, tuple | list) or len(hx) != len(wanted):
        raise TypeError(
            f"{name}: expected hx to be a tuple of {len(wanted)} carries, one for each cell, "
            f"since they differ, got {describe(hx)}"
        )
    given = zip(hx, wanted, strict=True)
    return [as_carry(name, f"hx[{k}]", *pair, dtype) for k, pair in enumerate(given)]


def _stacked(name: str, hx: Any, wanted: list[Any], dtype: Any) -> list[Any]:
    """The carries of cells that are alike, given with a leading axis."""
    count = len(wanted)
    whole = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct((count, *leaf.shape), leaf.dtype), wanted[0]
    )
    axes = "batch, features" if wanted[0][0].ndim > 1 else "features"
    hint = f", (layers * directions, {axes}) for any batch_first"
    carries = as_carry(name, "hx", hx, whole, dtype, hint)
    return [jax.tree.map(lambda leaf, k=k: leaf[k], carries) for k in range(count)]


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


def laid_out(states: Any, dtype: Any, at: int) -> Any:
    """States of every step in the dtype of a layer, with time as axis ``at``."""
    return jax.tree.map(lambda leaf: jnp.moveaxis(_narrow(leaf, dtype), 0, at), states)


def _narrow(leaf: Array, own: Any) -> Array:
    return leaf.astype(dtype_outside(leaf.dtype, own))
