"""Random numbers of a layer: the key of a call, dropout between layers, and noise of its cells.

The noise of a cell is drawn before the loop, so that it is the same under every scan.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from jax_rnn.base.typing import Array, Size, describe
from jax_rnn.cells.base import Cell
from jax_rnn.cells.inputs import example

__all__ = ["call_key", "draw_all", "draw_step", "drop", "is_random", "key_of_cell"]


def call_key(name: str, rngs: Any, what: str) -> Array:
    """The key that ``rngs`` gives to a call of a layer in training mode with ``what``."""
    is_key = isinstance(rngs, Array) and jnp.issubdtype(rngs.dtype, jax.dtypes.prng_key)
    if is_key and rngs.ndim == 0:
        return rngs
    if isinstance(rngs, nnx.Rngs) and ("dropout" in rngs or "default" in rngs):
        return rngs.dropout()
    raise (ValueError if rngs is None or isinstance(rngs, nnx.Rngs) else TypeError)(
        f"{name}: expected rngs while training with {what}, got "
        f"{_rngs_name(rngs)}; pass rngs=nnx.Rngs(dropout=seed) or a key of jax.random.key, or "
        "switch to evaluation with .eval()"
    )


def _rngs_name(rngs: Any) -> str:
    if isinstance(rngs, nnx.Rngs):
        return "an nnx.Rngs with no stream 'dropout'"
    return "none" if rngs is None else describe(rngs)


def drop(xs: Array, rate: float, key: Any, layer: int, first: Any = 0) -> Array:
    """Dropout of the outputs of a layer, with random numbers of each time step from ``first`` on.

    The key is that of a call, folded with 1 here, and with 0 for the cells.
    """
    kept = 1 - rate
    if kept == 0:
        return jnp.zeros_like(xs)
    key = jax.random.fold_in(jax.random.fold_in(key, 1), layer)

    def mask(t):
        return jax.random.bernoulli(jax.random.fold_in(key, t), kept, xs.shape[1:])

    masks = jax.vmap(mask)(first + jnp.arange(xs.shape[0]))
    return jnp.where(masks, xs / jnp.asarray(kept, xs.dtype), jnp.zeros_like(xs))


def is_random(cell: Cell) -> bool:
    """Whether the cell draws random numbers."""
    drawn = jax.eval_shape(lambda: draw_step(cell, jax.random.key(0), 0, example(cell)))
    return bool(jax.tree.leaves(drawn))


def draw_all(cell: Cell, key: Array | None, steps: Size, x: Any) -> tuple[Any, Any]:
    """The random numbers of all steps, with a leading time axis, and those of the sequence.

    ``x`` is an input of one step, or its shapes and dtypes. Step t uses the key
    ``fold_in(key, t + 1)``, the sequence ``fold_in(key, 0)``, so that a step on its own draws the
    same numbers.
    """
    if key is None:
        return None, None
    every = jax.vmap(lambda t: draw_step(cell, key, t, x)[0])(jnp.arange(steps))
    return every, draw_step(cell, key, 0, x)[1]


def draw_step(cell: Cell, key: Array | None, t: Any, x: Any) -> tuple[Any, Any]:
    """The random numbers of step t, and those of the sequence."""
    if key is None:
        return None, None
    step = cell._draw("noise", jax.random.fold_in(key, t + 1), x)
    return step, cell._draw("sequence_noise", jax.random.fold_in(key, 0), x)


def key_of_cell(cell: Cell, key: Array | None, number: int) -> Array | None:
    """The key of a cell of a layer, from the key of the call; None if the cell draws nothing."""
    if key is None or not is_random(cell):
        return None
    return jax.random.fold_in(jax.random.fold_in(key, 0), number)
