"""Random numbers of a layer: the key of a call, and dropout between its layers."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from jax_rnn.typing import Array, describe

__all__ = ["call_key", "drop"]


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
