"""A model's forward pass as one StableHLO program for CPU, CUDA and TPU, of any batch size."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
from flax import nnx
from jax import export

__all__ = ["save_stablehlo"]

PLATFORMS = ("cpu", "cuda", "tpu")


def save_stablehlo(
    module: nnx.Module, path: str | Path, arguments: Mapping[str, tuple[str, int]]
) -> None:
    """Write ``module(*arguments)`` with its parameters; ``jax.export.deserialize`` reads it.

    Args:
        module: in evaluation mode.
        path: of the file.
        arguments: dtype and number of axes of each argument, in order; the first axis of all is the
            batch, every other axis may have any size.

    Raises:
        ModuleNotFoundError: flatbuffers is not installed.
    """
    graphdef, state = nnx.split(module)
    scope = export.SymbolicScope()

    def shape(name: str, axes: int) -> tuple[Any, ...]:
        sizes = ["batch", *(f"{name}_{axis}" for axis in range(1, axes))]
        return tuple(export.symbolic_shape(",".join(sizes), scope=scope))

    inputs = [
        jax.ShapeDtypeStruct(shape(name, axes), dtype) for name, (dtype, axes) in arguments.items()
    ]
    program = export.export(
        jax.jit(lambda *inputs: nnx.merge(graphdef, state)(*inputs)), platforms=PLATFORMS
    )(*inputs)
    Path(path).write_bytes(program.serialize())
