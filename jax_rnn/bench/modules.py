"""A Flax NNX module as a pure function of plain arrays."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
from flax import nnx

__all__ = ["functional"]

Path = tuple[Any, ...]


def functional(module: nnx.Module) -> tuple[list[Path], Callable[[Sequence[Any]], Any]]:
    """The paths of the parameters, and a function that builds the module from their values."""
    graph, params, rest = nnx.split(module, nnx.Param, ...)
    paths = [path for path, _ in nnx.to_flat_state(params)]

    def with_values(values: Sequence[Any]) -> Any:
        pairs = zip(paths, values, strict=True)
        state = nnx.from_flat_state([(path, nnx.Param(value)) for path, value in pairs])
        own = jax.tree.map(lambda leaf: leaf, rest)  # variables of this trace
        return nnx.merge(graph, state, own)

    return paths, with_values
