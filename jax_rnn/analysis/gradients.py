"""How large gradients are on their way back through time."""

from typing import Any

import jax
import jax.numpy as jnp

from jax_rnn.analysis.trajectory import trajectory
from jax_rnn.base.typing import Array
from jax_rnn.cells.base import Cell

__all__ = ["gradient_norms"]


def gradient_norms(cell: Cell, x: Any, carry: Any = None) -> Array:
    r"""Norm of the gradient of the last output with respect to the state before each step.

    .. math::
        g_t = \| \nabla_{h_{t-1}} \, \mathbf{1}^T y_T \|

    It grows towards the past where gradients explode, and shrinks where they vanish.

    Args:
        cell: the cell, with or without wrappers.
        x: inputs, time-major, (T, *batch, I).
        carry: the first state; None (default) is ``initialize_carry``.

    Returns:
        (T, *batch), the norm over all fields of the state.

    Raises:
        TypeError: not a cell.
    """
    carries, y = trajectory(cell, x, carry)

    def back(gradient: Any, step: Any) -> Any:
        carry, x, from_y = step
        _, pull = jax.vjp(lambda carry: cell(carry, x), carry)
        (gradient,) = pull((gradient, from_y))
        return gradient, gradient

    def run(carries: Any, x: Any, y: Array) -> Any:
        last = jnp.zeros_like(y).at[-1].set(1)
        first = jax.tree.map(lambda leaf: jnp.zeros_like(leaf[0]), carries)
        return jax.lax.scan(back, first, (carries, x, last), reverse=True)[1]

    gradients = jax.jit(run)(carries, x, y)
    rank = len(jax.tree.leaves(x)[0].shape) - 1  # time and batch
    parts = [jnp.abs(leaf).reshape(*leaf.shape[:rank], -1) for leaf in jax.tree.leaves(gradients)]
    sizes = jnp.concatenate(parts, -1)
    largest = sizes.max(-1, keepdims=True)
    # divided by the largest, since squares of very small or large numbers are 0 or infinite
    scale = jnp.where(largest > 0, largest, 1)
    return scale[..., 0] * jnp.linalg.norm(sizes / scale, axis=-1)
