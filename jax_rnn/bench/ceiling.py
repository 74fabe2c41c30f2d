"""The ceiling: the fastest matrix product of either framework on this machine."""

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Any

import jax
import jax.numpy as jnp

from jax_rnn.bench.timing import interleave

__all__ = ["measure_ceiling"]

SIZES = (512, 1024, 2048)


def measure_ceiling(
    seconds: float, *, device: Any = None, precision: str = "float32"
) -> dict[str, float]:
    """GFLOP/s of square products, the best size and run: ``{"jax": ..., "torch": ...}``.

    Args:
        seconds: time for each framework, over all sizes.
        device: device of JAX; torch is measured on a CPU only.
        precision: precision of a ``Setting``.
    """
    device = device or jax.devices()[0]
    best: dict[str, float] = {}
    for size in SIZES if device.platform == "cpu" else (4096, 8192):
        contenders = {"jax": _jax_product(size, device, precision)}
        if device.platform == "cpu" and find_spec("torch"):
            contenders["torch"] = _torch_product(size)
        for name, times in interleave(contenders, seconds=seconds / len(SIZES)).items():
            best[name] = max(best.get(name, 0.0), 2 * size**3 / times.minimum / 1e9)
    return best


def _jax_product(size: int, device: Any, precision: str) -> Callable[[], Any]:
    dtype = "float32" if precision == "tf32" else precision
    key = jax.random.key(0)
    a = jax.device_put(jax.random.normal(key, (size, size)).astype(dtype), device)
    asked = {"tf32": "tensorfloat32", "float32": "highest"}.get(precision)
    product = jax.jit(partial(jnp.matmul, precision=asked))
    return lambda: jax.block_until_ready(product(a, a))


def _torch_product(size: int) -> Callable[[], Any]:
    import torch

    a = torch.randn(size, size)

    def product() -> Any:
        with torch.no_grad():
            return a @ a

    return product
