"""Minimum memory of a training run, and available memory."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import jax
from flax import nnx

__all__ = ["available_memory", "check_memory"]

COPIES = 5
"""Copies of the parameters: the model's, the trained one, its gradient, two moments of Adam."""

LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def available_memory(device: Any = None) -> int | None:
    """Bytes of memory of a device, by default JAX's; None if unknown."""
    if device is None:
        chosen = getattr(jax.config, "jax_default_device", None)
        device = chosen if hasattr(chosen, "memory_stats") else jax.local_devices()[0]
    stats = device.memory_stats() or {}
    if "bytes_limit" in stats:
        return int(stats["bytes_limit"])
    if device.platform != "cpu":
        return None
    found = []
    with suppress(AttributeError, ValueError, OSError):  # not supported by this system
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for limit in LIMITS:
        try:
            found.append(int(Path(limit).read_text()))
        except (OSError, ValueError):  # the value is "max", or the file does not exist
            continue
    return min(found, default=None)


def check_memory(build: Callable[[], nnx.Module]) -> None:
    """Refuse a model whose training needs more memory than is available, before it is built.

    Args:
        build: builds the model; only its shapes are computed.

    Raises:
        ValueError: the model does not fit into memory.
    """
    available = available_memory()
    try:
        params = nnx.eval_shape(lambda: nnx.state(build(), nnx.Param))
        sizes = [(leaf.size, leaf.size * leaf.dtype.itemsize) for leaf in jax.tree.leaves(params)]
    except (OverflowError, MemoryError) as error:
        raise ValueError(
            f"model: expected arrays that JAX can allocate, got larger ones ({error}); choose "
            "smaller sizes"
        ) from error
    count, needed = sum(size for size, _ in sizes), COPIES * sum(size for _, size in sizes)
    if available is not None and needed > available:
        raise ValueError(
            f"model: expected one that fits into {available / 1e9:,.1f} GB of memory, got one of "
            f"{count:,} parameters, which needs at least {needed / 1e9:,.1f} GB with gradients and "
            "the state of Adam; choose a smaller hidden_size, embedding_size or num_layers"
        )
