"""Time and memory of block-diagonal hidden maps, on a CPU.

python -m benchmarks --sections heads
"""

from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from jax_rnn.bench.timing import interleave
from jax_rnn.layers import torch_layers as layers

__all__ = ["heads"]

SHAPE = (32, 35, 512, 512)
"""B, T, I, H."""

COUNTS = (1, 4, 16, 512)


def heads(
    seconds: float,
    shape: tuple[int, int, int, int] = SHAPE,
    counts: Sequence[int] = COUNTS,
    kinds: Sequence[str] = ("LSTM", "GRU"),
) -> Iterator[dict[str, Any]]:
    """Rows ``{"layer", "heads", "parameters", "forward", "backward", "temporaries"}``.

    Times are medians in seconds of a forward pass, and of one with gradients; the layers of a kind
    run alternately. Temporaries are the bytes that the second program plans.
    """
    batch, steps, features, size = shape
    x = jnp.asarray(jax.random.normal(jax.random.key(0), (steps, batch, features)))
    for kind in kinds:
        calls, rows = {}, {}
        for count in counts:
            layer = getattr(layers, kind)(features, size, heads=count, rngs=nnx.Rngs(0))
            graphdef, params = nnx.split(layer)

            def forward(params, x, graphdef=graphdef):
                return nnx.merge(graphdef, params)(x)[0]

            def backward(params, x, forward=forward):
                return jax.grad(lambda params, x: (forward(params, x) ** 2).sum(), (0, 1))(
                    params, x
                )

            rows[count] = {
                "layer": f"{kind} {shape}",
                "heads": count,
                "parameters": sum(leaf.size for leaf in jax.tree.leaves(params)),
            }
            for name, function in (("forward", forward), ("backward", backward)):
                program = jax.jit(function).lower(params, x).compile()
                calls[f"{name} {count}"] = _call(program, params, x)
                analysis: Any = program.memory_analysis()
                rows[count]["temporaries"] = analysis.temp_size_in_bytes
        found = interleave(calls, seconds=seconds)
        for count, row in rows.items():
            times = {name: found[f"{name} {count}"].median for name in ("forward", "backward")}
            yield row | times


def _call(program: Any, params: Any, x: Any) -> Any:
    return lambda: jax.block_until_ready(program(params, x))
