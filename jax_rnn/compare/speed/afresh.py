"""Compilation that finds nothing from before."""

from collections.abc import Iterator
from contextlib import contextmanager

import jax
from jax.experimental.compilation_cache import compilation_cache

__all__ = ["compiled_afresh"]

SWITCH = "jax_enable_compilation_cache"


@contextmanager
def compiled_afresh() -> Iterator[None]:
    """Without the cache of compiled programs on disk, so that a first call tells its whole cost."""
    kept = getattr(jax.config, SWITCH)
    jax.config.update(SWITCH, False)
    compilation_cache.reset_cache()  # JAX asks its switch only once
    try:
        yield
    finally:
        jax.config.update(SWITCH, kept)
        compilation_cache.reset_cache()
