"""The speed of a layer under options of the compiler."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jax_rnn.base.compiler import CANDIDATES, Options, accepted
from jax_rnn.bench.timing import Times, interleave
from jax_rnn.layers.recurrent import Recurrent

__all__ = ["DEFAULT", "HELPS", "Tuned", "tune"]

DEFAULT = "default"

HELPS = 1.05
"""The speed, relative to that without options, from which options are said to help."""

TOLERANCE = 1e-3
"""Allowed difference of a result relative to its largest value, as in a race."""


@dataclass(frozen=True)
class Tuned:
    """A program compiled with some options.

    Attributes:
        name: of the options.
        options: values by name.
        kind: ``"forward"``, or ``"backward"``, which includes forward.
        median, minimum: seconds of a call.
        speed: median without options divided by that with them.
        refused: why it was not timed: XLA does not know the options, or results differ.
    """

    name: str
    options: Options
    kind: str
    median: float | None = None
    minimum: float | None = None
    speed: float | None = None
    refused: str = ""

    @property
    def helps(self) -> bool:
        return self.speed is not None and self.speed >= HELPS


def tune(
    layer: Recurrent,
    x: Any,
    *,
    kinds: tuple[str, ...] = ("forward", "backward"),
    seconds: float = 1.0,
    candidates: Mapping[str, Options] | None = None,
) -> list[Tuned]:
    """Compile a layer with each of the known options, compare results, and time all alternately.

    Args:
        layer: the layer.
        x: its input.
        kinds: what is timed; ``"backward"`` is the gradient of all parameters and the input.
        seconds: approximate time for each program.
        candidates: options by name; None (default) are those known for the platform.

    Returns:
        One entry for each kind and name, first that without options.
    """
    if candidates is None:
        candidates = CANDIDATES[jax.default_backend()]
    named: dict[str, Options] = {DEFAULT: {}, **candidates}
    graph, params, rest = nnx.split(layer, nnx.Param, ...)

    def forward(params: Any, x: Any) -> Any:
        return nnx.merge(graph, params, rest)(x)[0]

    def loss(params: Any, x: Any) -> Any:
        return jnp.mean(jnp.square(forward(params, x).astype(jnp.float32)))

    programs = {"forward": forward, "backward": jax.grad(loss, argnums=(0, 1))}
    arguments = params, jnp.asarray(x)
    return [
        row for kind in kinds for row in _tuned(kind, programs[kind], arguments, named, seconds)
    ]


def _tuned(
    kind: str,
    program: Callable[..., Any],
    arguments: Any,
    named: Mapping[str, Options],
    seconds: float,
) -> list[Tuned]:
    calls: dict[str, Callable[[], Any]] = {}
    refused: dict[str, str] = {}
    expected: Any = None
    for name, options in named.items():
        if why := accepted(tuple(options.items())):
            refused[name] = why
            continue
        compiled = jax.jit(program, compiler_options=dict(options)).lower(*arguments).compile()
        result = jax.block_until_ready(compiled(*arguments))
        expected = result if name == DEFAULT else expected
        difference = _difference(result, expected)
        if name == DEFAULT or difference <= TOLERANCE:
            calls[name] = partial(_run, compiled, arguments)
        else:
            refused[name] = f"its results differ from those without options by {difference:.1e}"
    times = interleave(calls, seconds=seconds)
    return [
        Tuned(name, options, kind, refused=refused[name])
        if name in refused
        else _row(name, options, kind, times[name], times[DEFAULT])
        for name, options in named.items()
    ]


def _run(compiled: Any, arguments: Any) -> Any:
    return jax.block_until_ready(compiled(*arguments))


def _row(name: str, options: Options, kind: str, own: Times, default: Times) -> Tuned:
    return Tuned(name, options, kind, own.median, own.minimum, default.median / own.median)


def _difference(found: Any, expected: Any) -> float:
    """The largest difference of an array, relative to its largest value; NaN differs."""

    def of_leaf(a: Any, b: Any) -> float:
        a, b = (np.asarray(leaf, np.float32) for leaf in (a, b))
        return float(np.max(np.abs(a - b)) / max(float(np.max(np.abs(b))), 1e-30))

    pairs = zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True)
    return float(np.max([of_leaf(a, b) for a, b in pairs]))
