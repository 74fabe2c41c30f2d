"""The variables of a model: its parameters, which the optimizer changes, and all other state."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from jax_rnn.base.typing import PyTree

__all__ = ["merge", "split", "state_after"]


def split(model: nnx.Module) -> tuple[Any, Any, Any]:
    """The graph of a model, its ``nnx.Param`` and its other state, without ``nnx.Intermediate``.

    Raises:
        TypeError: variables that hold anything but numbers and arrays.
    """
    if jax.tree.leaves(nnx.state(model, nnx.Intermediate)):
        model = nnx.clone(model)
        nnx.pop(model, nnx.Intermediate)
    for _, part in nnx.iter_modules(model):
        for name, value in [*vars(part).items()]:
            if isinstance(value, jax.Array) and not nnx.is_data(value):  # made under jit or vmap
                setattr(part, name, nnx.data(value))
    graphdef, params, model_state = nnx.split(model, nnx.Param, ...)
    try:
        return graphdef, params, jax.tree.map(jnp.asarray, model_state)
    except TypeError as error:
        raise TypeError(
            f"model: expected variables that hold numbers and arrays, got others ({error}); keep "
            "them in attributes that are no nnx.Variable"
        ) from error


def merge(graphdef: Any, params: Any, model_state: Any) -> Any:
    """The model, with variables of its own, which can be changed where it is called."""
    return nnx.merge(graphdef, *jax.tree.map(lambda leaf: leaf, (params, model_state)))


def state_after(model: nnx.Module, params: Any, model_state: Any) -> Any:
    """The other state of a model after a loss, with the dtypes of before.

    Args:
        model: the model that the loss was called with.
        params, model_state: its variables before.

    Raises:
        ValueError: the loss has created, removed or reshaped variables.
    """
    _, new_params, _, new_state = nnx.split(model, nnx.Param, nnx.Intermediate, ...)
    before, after = _shapes(params, model_state), _shapes(new_params, new_state)
    if before != after:
        names = sorted({name for name, _ in before ^ after})
        shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        raise ValueError(
            "model: expected a loss that creates, removes and reshapes no variables, got changes "
            f"of {shown}; create all variables in __init__, and return other results as metrics"
        )
    leaves = map(_as, jax.tree.leaves(new_state), jax.tree.leaves(model_state))
    return jax.tree.unflatten(jax.tree.structure(model_state), leaves)


def _shapes(*states: PyTree) -> set[tuple[str, tuple[int, ...]]]:
    """The names and shapes of all arrays."""
    leaves = (leaf for state in states for leaf in jax.tree_util.tree_flatten_with_path(state)[0])
    name = partial(jax.tree_util.keystr, simple=True, separator=".")
    return {(name(path).removesuffix(".value"), jnp.shape(leaf)) for path, leaf in leaves}


def _as(new: Any, old: Any) -> Any:
    return new if jnp.issubdtype(old.dtype, jax.dtypes.prng_key) else jnp.asarray(new, old.dtype)
