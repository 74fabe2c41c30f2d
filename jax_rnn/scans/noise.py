"""Random numbers of a cell, drawn before the loop so that they are the same under every scan."""

from typing import Any

import jax
import jax.numpy as jnp

from jax_rnn.cells.base import Cell
from jax_rnn.typing import Array, Size

__all__ = ["draw", "draw_step", "is_random", "key_of_cell"]


def is_random(cell: Cell) -> bool:
    """Whether the cell draws random numbers."""
    if type(cell).noise is Cell.noise and type(cell).sequence_noise is Cell.sequence_noise:
        return False
    drawn = jax.eval_shape(lambda key: draw_step(cell, key, 0, ()), jax.random.key(0))
    return bool(jax.tree.leaves(drawn))


def draw(cell: Cell, key: Array | None, steps: Size, batch: tuple[Size, ...]) -> tuple[Any, Any]:
    """The random numbers of all steps, with a leading time axis, and those of the sequence.

    Step t uses the key ``fold_in(key, t + 1)``, the sequence ``fold_in(key, 0)``, so that a step on
    its own draws the same numbers.
    """
    if key is None:
        return None, None
    every = jax.vmap(lambda t: draw_step(cell, key, t, batch)[0])(jnp.arange(steps))
    return every, cell.sequence_noise(jax.random.fold_in(key, 0), batch)


def draw_step(cell: Cell, key: Array | None, t: Any, batch: tuple[Size, ...]) -> tuple[Any, Any]:
    """The random numbers of step t, and those of the sequence."""
    if key is None:
        return None, None
    step = cell.noise(jax.random.fold_in(key, t + 1), batch)
    return step, cell.sequence_noise(jax.random.fold_in(key, 0), batch)


def key_of_cell(cell: Cell, key: Array | None, number: int) -> Array | None:
    """The key of a cell of a layer, from the key of the call; None if the cell draws nothing."""
    if key is None or not is_random(cell):
        return None
    return jax.random.fold_in(jax.random.fold_in(key, 0), number)
