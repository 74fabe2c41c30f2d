"""Compilation without a cache."""

from collections.abc import Iterator
from contextlib import contextmanager

import jax
from jax.experimental.compilation_cache import compilation_cache

__all__ = ["compiled_afresh"]

SWITCH = "jax_enable_compilation_cache"


@contextmanager
def compiled_afresh() -> Iterator[None]:
    """Disable the compilation cache on disk, so that a first call includes compilation."""
    kept = getattr(jax.config, SWITCH)
    jax.config.update(SWITCH, False)
    compilation_cache.reset_cache()  # JAX reads this option only once
    try:
        yield
    finally:
        jax.config.update(SWITCH, kept)
        compilation_cache.reset_cache()
