"""Time the import of a framework.

This module imports no framework itself, so that import times are correct.
"""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

from jax_rnn.base.extras import how_to_install

__all__ = ["FRAMEWORKS", "import_seconds", "torch_on_one_thread"]

FRAMEWORKS = {
    "jax": ("jax", "flax.nnx", "optax"),
    "torch": ("torch", "reference_torch"),
}

_measured: dict[str, float | None] = {}


def import_seconds(framework: str) -> float | None:
    """Import ``"jax"`` or ``"torch"`` and return the seconds; None if it was already imported.

    The threads of torch sleep while they wait, unless OMP_WAIT_POLICY says otherwise: if they wait
    actively and another program needs a core too, a step takes thirty times as long and more.

    Raises:
        ModuleNotFoundError: torch is not installed; the message states how to install it.
    """
    if framework == "torch":
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if framework not in _measured:
        modules = FRAMEWORKS[framework]
        loaded = modules[0] in sys.modules
        start = time.perf_counter()
        try:
            for module in modules:
                import_module(module)
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                f"expected {error.name} to be installed, but it is not; use "
                f"{how_to_install(framework)}",
                name=error.name,
            ) from error
        if framework == "torch":
            _load_optimizers()
        _measured[framework] = None if loaded else time.perf_counter() - start
    return _measured[framework]


@contextmanager
def torch_on_one_thread() -> Iterator[None]:
    """Use one thread in torch, which is fastest for the small models of the lecture."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _load_optimizers() -> None:
    """Load the parts of torch that it imports only for the first optimizer."""
    import torch

    torch.optim.Adam([torch.zeros(1, requires_grad=True)])
