"""Export the forward pass of a model as one StableHLO program for CPU, CUDA and TPU."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
from flax import nnx
from jax import export

from jax_rnn.base.storage import replacing
from jax_rnn.interop.files import check_target

__all__ = ["PLATFORMS", "check_platforms", "save_stablehlo"]

PLATFORMS = ("cpu", "cuda", "tpu")


def check_platforms(platforms: Sequence[str]) -> tuple[str, ...]:
    """The platforms without duplicates.

    Raises:
        ValueError: no platform, or one that is not in ``PLATFORMS``.
    """
    unknown = [name for name in platforms if name not in PLATFORMS]
    if unknown or not platforms:
        got = ", ".join(map(repr, unknown)) or "none"
        raise ValueError(f"platforms: expected some of {', '.join(PLATFORMS)}, got {got}")
    return tuple(dict.fromkeys(platforms))


def save_stablehlo(
    module: nnx.Module,
    path: str | Path,
    arguments: Mapping[str, tuple[str, int] | tuple[str, int, int]],
    platforms: Sequence[str] = PLATFORMS,
) -> None:
    """Write ``module(*arguments)`` with its parameters; ``jax.export.deserialize`` reads it.

    States are plain tuples in the program, so that it does not depend on this library.

    Args:
        module: module in evaluation mode.
        path: path of the file.
        arguments: dtype and number of axes of each argument, in order, and the size of the last
            axis if it is fixed; the first axis of all is the batch. All other axes have symbolic
            sizes.
        platforms: platforms that can run the program; ``deserialize(...).platforms`` lists them.

    Raises:
        TypeError: a class, or the state or the graph of a model, instead of the model.
        ValueError: an unknown platform.
        FileNotFoundError: the folder does not exist. IsADirectoryError: ``path`` is a folder.
        ModuleNotFoundError: flatbuffers is not installed.
    """
    _check_module(module)
    platforms = check_platforms(platforms)
    graphdef, state = nnx.split(module)
    scope = export.SymbolicScope()

    def shape(name: str, axes: int, *features: int) -> tuple[Any, ...]:
        sizes = ["batch", *(f"{name}_{axis}" for axis in range(1, axes))]
        sizes[axes - len(features) :] = map(str, features)
        return tuple(export.symbolic_shape(",".join(sizes), scope=scope))

    inputs = [
        jax.ShapeDtypeStruct(shape(name, *sizes), dtype)
        for name, (dtype, *sizes) in arguments.items()
    ]

    def forward(*inputs: Any) -> Any:
        return _plain(nnx.merge(graphdef, state)(*inputs))

    program = export.export(jax.jit(forward), platforms=platforms)(*inputs)
    with replacing(check_target(path)) as file:
        file.write(program.serialize())


def _check_module(module: Any) -> None:
    """Check the module. TypeError: something else."""
    if isinstance(module, nnx.Module):
        return
    found, remedy = type(module).__name__, "pass the model itself"
    if isinstance(module, type):
        found, remedy = f"the class {module.__name__}", "pass an instance"
    elif isinstance(module, nnx.State | nnx.GraphDef | tuple):
        remedy = "pass the model that nnx.merge(graphdef, state) makes of the parts of nnx.split"
    raise TypeError(f"module: expected an nnx.Module in evaluation mode, got {found}; {remedy}")


def _plain(tree: Any) -> Any:
    """Replace NamedTuples by tuples, since a file cannot hold the former."""

    def named(node: Any) -> bool:
        return isinstance(node, tuple) and hasattr(node, "_fields")

    return jax.tree.map(
        lambda node: tuple(map(_plain, node)) if named(node) else node, tree, is_leaf=named
    )
