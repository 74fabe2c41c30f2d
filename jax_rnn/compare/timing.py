"""How long things take: a framework to load, and calls that take turns.

Imports no framework itself, so that the first look at loading is true.
"""

import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from typing import TypeVar

from jax_rnn.extras import how_to_install

__all__ = [
    "FRAMEWORKS",
    "Times",
    "import_seconds",
    "interleave",
    "timed",
    "torch_on_one_thread",
]

T = TypeVar("T")

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
                f"{how_to_install(framework)}",
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


TURN = 0.003
"""Seconds of a turn at least: a call that is shorter is repeated in it."""

PATIENCE = 20
"""Times the seconds asked for, after which no further round begins."""

SETTLE = 0.005
"""Seconds between turns, in which the threads of the last contender stop spinning."""


@dataclass(frozen=True)
class Times:
    """Seconds of a call, one entry a turn."""

    seconds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def minimum(self) -> float:
        return min(self.seconds)

    def divided(self, count: int) -> "Times":
        """Of one of so many things that a call did."""
        return Times([seconds / count for seconds in self.seconds])


def timed(call: Callable[[], T]) -> tuple[float, T]:
    """Seconds of a call, and what it returned."""
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def interleave(
    calls: Mapping[str, Callable[[], object]],
    *,
    seconds: float,
    least_rounds: int = 5,
    most_rounds: int = 200,
) -> dict[str, Times]:
    """Time calls that finish their work before they return, each once a round.

    Every round begins with another one, and each has a call of its own before its turn to warm
    up, so that what drifts or lingers meets all alike. Call each once before, where the first call
    is another matter.

    Args:
        calls: by name.
        seconds: for each call, about.
        least_rounds, most_rounds: bounds of how many. Where the least would take many times as
            long as was asked for, fewer are made.
    """
    names = list(calls)
    found = {name: Times() for name in names}
    repeats = {name: _repeats(calls[name]) for name in names}
    start = time.perf_counter()
    for k in range(most_rounds if names else 0):
        spent = (time.perf_counter() - start) / (seconds * len(names))
        if (k >= least_rounds and spent > 1) or (k > 0 and spent > PATIENCE):
            break
        for name in names[k % len(names) :] + names[: k % len(names)]:
            call, count = calls[name], repeats[name]
            time.sleep(SETTLE)
            call()
            begun = time.perf_counter()
            for _ in range(count):
                call()
            found[name].seconds.append((time.perf_counter() - begun) / count)
    return found


def _repeats(call: Callable[[], object]) -> int:
    once, _ = timed(call)
    if once < TURN:
        once = min(once, timed(call)[0])
    return max(1, round(TURN / once))


def _load_optimizers() -> None:
    """Torch loads a good part of itself only when the first optimizer is made."""
    import torch

    torch.optim.Adam([torch.zeros(1, requires_grad=True)])
