"""Parameters under torch's names and in torch's layout, as NumPy arrays.

| jax_rnn | torch.nn | layout |
| --- | --- | --- |
| ``Recurrent.cells[k].<name>`` | ``<name>_l{k}`` | same |
| ``Recurrent.reverse_cells[k].<name>`` | ``<name>_l{k}_reverse`` | same |
| ``Linear.kernel`` (in, out) | ``weight`` (out, in) | transposed |
| ``Embedding.embedding`` | ``weight`` | same |
| ``nnx.Sequential.layers[k]`` | ``{k}`` | |
| any other parameter | its own name | same |

This module does not import torch: a state dict is any mapping from names to arrays or tensors.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from flax import nnx

from jax_rnn.base.typing import as_numpy
from jax_rnn.layers.recurrent import Recurrent

__all__ = ["load_torch_state_dict", "torch_state_dict"]

_DIRECTIONS = {"cells": "", "reverse_cells": "_reverse"}


class _Entry(NamedTuple):
    """One parameter, and its name and layout in torch."""

    name: str
    param: nnx.Param
    transposed: bool
    heads: int = 1

    @property
    def shape(self) -> tuple[int, ...]:
        return self.param.shape[::-1] if self.transposed else self.param.shape

    def value(self) -> np.ndarray:
        array = np.asarray(self.param[...])
        return np.ascontiguousarray(array.T) if self.transposed else array


def torch_state_dict(module: nnx.Module, values: nnx.State | None = None) -> dict[str, np.ndarray]:
    """The parameters of ``module`` under torch's names and in torch's layout.

    Args:
        module: made of this library's layers and cells, ``nnx.Linear`` and ``nnx.Embed``.
            Gradients of such a module by ``jax.grad`` have the same form and work too.
        values: a state of the same structure, used instead of the parameters.

    Raises:
        TypeError: a parameter that is not an attribute of a module, and so has no name.
    """
    if values is not None:
        module = nnx.clone(module)
        nnx.update(module, values)
    return {entry.name: entry.value() for entry in _all_entries(module)}


def load_torch_state_dict(
    module: nnx.Module, mapping: Mapping[str, Any], *, strict: bool = True
) -> None:
    """Load a torch state dict of tensors or arrays into ``module``, which keeps its dtypes.

    Args:
        module: as for ``torch_state_dict``.
        mapping: values by torch's names.
        strict: whether the names must be the same; if not, the common ones are loaded.

    Raises:
        ValueError: missing names, unexpected names, wrong shapes, or values that are not floating
            point. The message lists all of them, and the module keeps its values.
    """
    entries = {entry.name: entry for entry in _all_entries(module)}
    arrays = {name: as_numpy(value) for name, value in mapping.items()}
    shared = entries.keys() & arrays.keys()
    faults = []
    if strict:
        faults += [f"missing: {name}" for name in entries if name not in arrays]
        faults += [f"unexpected: {name}" for name in arrays if name not in entries]
    for name in shared:
        expected, array = entries[name].shape, arrays[name]
        if array.shape != expected:
            why = ""
            if entries[name].heads != 1:
                why = (
                    f"; the cell has {entries[name].heads} heads, but torch's hidden maps are dense"
                )
            faults.append(f"wrong shape: {name}, expected {expected}, got {array.shape}{why}")
        elif not jnp.issubdtype(array.dtype, jnp.floating):
            faults.append(f"not floating: {name}, got {array.dtype}")
    if faults:
        raise ValueError(
            f"this state dict does not fit {type(module).__name__}: expected the names and shapes "
            "of jax_rnn.torch_state_dict(module), got others:\n  " + "\n  ".join(sorted(faults))
        )
    for name in shared:
        entry = entries[name]
        value = arrays[name].T if entry.transposed else arrays[name]
        entry.param[...] = jnp.asarray(value, entry.param.dtype)


def _all_entries(module: nnx.Module) -> list[_Entry]:
    """All parameters. TypeError: a parameter without a name."""
    entries = list(_entries(module))
    named = {id(entry.param) for entry in entries}
    nodes = nnx.iter_graph(module)
    nameless = [
        path for path, node in nodes if isinstance(node, nnx.Param) and id(node) not in named
    ]
    if nameless:
        raise TypeError(
            f"{type(module).__name__}: expected every parameter to be an attribute of a module, "
            f"got some in {nameless}; use nnx.List or nnx.Dict for several of them"
        )
    return entries


def _entries(module: nnx.Module, prefix: str = "") -> Iterator[_Entry]:
    for name, value in _children(module):
        if isinstance(value, nnx.Param):
            yield _entry(module, prefix, name, value)
        elif isinstance(module, Recurrent) and name in _DIRECTIONS:
            for k, cell in enumerate(value):
                for entry in _entries(cell):
                    yield entry._replace(name=f"{prefix}{entry.name}_l{k}{_DIRECTIONS[name]}")
        elif isinstance(value, nnx.Module):
            yield from _entries(value, f"{prefix}{name}.")


def _children(module: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(module, nnx.Sequential):
        module = module.layers
    if isinstance(module, nnx.List):
        return ((str(k), child) for k, child in enumerate(module))
    if isinstance(module, nnx.Dict):
        return ((name, module[name]) for name in module)
    return iter(vars(module).items())


def _entry(module: nnx.Module, prefix: str, name: str, param: nnx.Param) -> _Entry:
    if isinstance(module, nnx.Linear) and name == "kernel":
        return _Entry(f"{prefix}weight", param, transposed=True)
    if isinstance(module, nnx.Embed) and name == "embedding":
        return _Entry(f"{prefix}weight", param, transposed=False)
    heads = getattr(module, "heads", 1) if name == "weight_hh" else 1
    return _Entry(f"{prefix}{name}", param, transposed=False, heads=heads)
