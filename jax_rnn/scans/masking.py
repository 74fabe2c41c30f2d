"""Masking of invalid steps."""

from typing import Any

import jax
import jax.numpy as jnp

from jax_rnn.typing import Array, Bool, Float

__all__ = ["clean", "only"]


def clean(
    xs: Float[Array, "T *batch_I"], mask: Bool[Array, "T *batch"] | None
) -> Float[Array, "T *batch_I"]:
    """Replace inputs of invalid steps by zeros, since 0 * NaN in a gradient is NaN."""
    return only(mask, xs, jnp.zeros((), xs.dtype)) if mask is not None else xs


def only(live: Bool[Array, "*batch"] | None, new: Any, old: Any) -> Any:
    """``new`` in valid steps, ``old`` in invalid ones."""
    if live is None:
        return new

    def choose(a, b):
        return jnp.where(live.reshape(live.shape + (1,) * (a.ndim - live.ndim)), a, b)

    return jax.tree.map(choose, new, old)
