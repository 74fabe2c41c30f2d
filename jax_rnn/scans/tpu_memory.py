"""The sizes of the blocks of a kernel, and the memory that they need on a TPU core."""

import math
from typing import Any, NamedTuple

import jax

__all__ = ["MIB", "Blocks", "Limits", "Sizes", "blocks_of", "needed"]

MIB = 2**20

MOST_STEPS = 8
"""Steps of a program at most, if they are not given; every program has a cost of its own."""


class Limits(NamedTuple):
    """What a user allows."""

    rows: int | None
    """Rows of a block; None for the whole batch."""
    steps: int | None
    """Steps of a program at most; None for as many as fit, up to ``MOST_STEPS``."""
    bytes: int
    """Memory of the kernel."""
    interpret: bool
    """Whether the kernel is run by JAX, on any device and without a limit."""


class Blocks(NamedTuple):
    """The arrays of a kernel, inputs and outputs."""

    steps: Any
    """Of all steps, (T, B, K)."""
    rows: Any
    """The same in all steps, (B, K)."""
    weights: Any
    """The same in all rows too."""


class Sizes(NamedTuple):
    """The size of a block, (steps, rows, K)."""

    steps: int
    rows: int


def blocks_of(arrays: Blocks, limits: Limits, name: str) -> Sizes:
    """The sizes of the blocks.

    Raises:
        ValueError: not even one step fits into memory.
    """
    total, count = jax.tree.leaves(arrays.steps)[0].shape[:2]
    rows = count if limits.rows is None else min(limits.rows, count)
    most = min(total, limits.steps or MOST_STEPS)
    fitting = [steps for steps in range(most, 0, -1) if total % steps == 0]
    if limits.interpret or limits.steps:
        fitting = fitting[:1]
    for steps in fitting:
        need = needed(arrays, Sizes(steps, rows))
        if limits.interpret or need <= limits.bytes:
            return Sizes(steps, rows)
    raise ValueError(_message(arrays, Sizes(fitting[-1], rows), limits, name))


def needed(arrays: Blocks, sizes: Sizes) -> int:
    """Two blocks of what changes from program to program, and what a step computes with."""
    step, rows = (_of_rows(tree, sizes.rows) for tree in (arrays.steps, arrays.rows))
    return 2 * sizes.steps * step + 2 * rows + _of_weights(arrays) + step


def _of_rows(tree: Any, rows: int) -> int:
    return sum(_padded((rows, leaf.shape[-1]), leaf) for leaf in jax.tree.leaves(tree))


def _of_weights(arrays: Blocks) -> int:
    return sum(_padded(leaf.shape, leaf) for leaf in jax.tree.leaves(arrays.weights))


def _padded(shape: tuple[int, ...], leaf: Any) -> int:
    """Bytes of an array, whose last two axes are stored in tiles of (8, 128) words of 32 bits."""
    itemsize = leaf.dtype.itemsize
    tile = (max(8, 32 // itemsize), 128)
    last = [math.ceil(size / unit) * unit for size, unit in zip(shape[-2:], tile, strict=True)]
    return math.prod([*shape[:-2], *last]) * itemsize


def _message(arrays: Blocks, sizes: Sizes, limits: Limits, name: str) -> str:
    need, weights = needed(arrays, sizes), _of_weights(arrays)
    wide = jax.tree.leaves(arrays.weights)[0].dtype.itemsize > 2
    smaller = range(sizes.rows - sizes.rows % -16 - 16, 0, -16)
    fits = [rows for rows in smaller if needed(arrays, Sizes(1, rows)) <= limits.bytes]
    advice = ["steps=1"] if sizes.steps > 1 else []
    advice += [f"batch_block={fits[0]}"] if fits else []
    if wide and need - weights // 2 <= limits.bytes:
        advice += ["bfloat16"]
    return (
        f"{name}: expected blocks of at most {limits.bytes / MIB:.0f} MiB, the part of VMEM that "
        f"a kernel may use, got {need / MIB:.1f} MiB with batch_block={sizes.rows} and "
        f"steps={sizes.steps}, {weights / MIB:.1f} MiB of them weights; try "
        f"{', '.join(advice) or 'fewer hidden units'}, or scan='auto'"
    )
