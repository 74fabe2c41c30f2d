"""Steps that do not count."""

from typing import Any

import jax
import jax.numpy as jnp

from jax_rnn.typing import Array, Bool, Float

__all__ = ["clean", "only"]


def clean(
    xs: Float[Array, "T *batch I"], mask: Bool[Array, "T *batch"] | None
) -> Float[Array, "T *batch I"]:
    """Zeros where a step does not count, before a cell sees them: 0 * NaN in a gradient is NaN."""
    return xs if mask is None else jnp.where(mask[..., None], xs, 0)


def only(live: Bool[Array, "*batch"] | None, new: Any, old: Any) -> Any:
    """``new`` where a step counts, ``old`` elsewhere."""
    if live is None:
        return new

    def choose(a, b):
        return jnp.where(live.reshape(live.shape + (1,) * (a.ndim - live.ndim)), a, b)

    return jax.tree.map(choose, new, old)
