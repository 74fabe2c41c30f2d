"""How long a framework takes to load. Imports neither itself, so that the first look is true."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

__all__ = ["FRAMEWORKS", "import_seconds", "torch_on_one_thread"]

FRAMEWORKS = {
    "jax": ("jax", "flax.nnx", "optax"),
    "torch": ("torch", "reference_torch"),
}

_measured: dict[str, float | None] = {}


def import_seconds(framework: str) -> float | None:
    """Load ``"jax"`` or ``"torch"`` and say how long it took; None if it was loaded before.

    Raises:
        ModuleNotFoundError: torch is not installed; the message says how to install it.
    """
    if framework not in _measured:
        modules = FRAMEWORKS[framework]
        loaded = modules[0] in sys.modules
        start = time.perf_counter()
        try:
            for module in modules:
                import_module(module)
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                f"expected {error.name} to be installed, but it is not: "
                f'pip install "jax-rnn[{framework}]"',
                name=error.name,
            ) from error
        if framework == "torch":
            _load_optimizers()
        _measured[framework] = None if loaded else time.perf_counter() - start
    return _measured[framework]


@contextmanager
def torch_on_one_thread() -> Iterator[None]:
    """The lecture's models are so small that further threads only wait for each other."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _load_optimizers() -> None:
    """Torch loads a good part of itself only when the first optimizer is made."""
    import torch

    torch.optim.Adam([torch.zeros(1, requires_grad=True)])
