"""Compare projecting the inputs of a layer before the loop or in each step, on a CPU.

    python -m benchmarks --sections projection

The sizes at which the gated scan switches (constants of jax_rnn/scans/sizes.py) come from this
table.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any

import jax

from jax_rnn.bench.ours import build_layer, ours
from jax_rnn.bench.problem import Kind, Pass, Problem, Setting
from jax_rnn.bench.timing import interleave
from jax_rnn.scans.gated import Gated
from jax_rnn.scans.sizes import projects_inside

__all__ = ["SHAPES", "projection"]

SHAPES = (
    (1, 1000, 64, 64),
    (64, 50, 64, 64),
    (128, 20, 100, 100),
    (16, 100, 128, 128),
    (32, 30, 160, 160),
    (32, 35, 200, 200),
    (2, 200, 256, 256),
    (16, 50, 256, 256),
    (64, 256, 256, 256),
    (8, 50, 300, 300),
    (16, 50, 400, 400),
    (16, 40, 512, 512),
    (64, 100, 512, 512),
    (20, 35, 650, 650),
)
"""B, T, I, H."""

KINDS: tuple[Kind, ...] = ("RNN", "LSTM", "GRU")
PASSES: tuple[Pass, ...] = ("forward", "backward")


def projection(
    seconds: float,
    shapes: Sequence[tuple[int, int, int, int]] = SHAPES,
    kinds: Sequence[Kind] = KINDS,
) -> Iterator[dict[str, Any]]:
    """Rows ``{"layer", "pass", "before", "in_loop", "ratio", "chosen"}``, medians in seconds.

    Both versions of the layer run alternately. ``ratio`` is before divided by in_loop: above 1,
    the loop is faster. ``chosen`` is the choice of the scan.
    """
    for kind, shape in product(kinds, shapes):
        problem = Problem.draw(Setting(kind, *shape))
        for name in PASSES:
            calls = {place: _call(problem, name, place) for place in ("before", "in_loop")}
            found = interleave(calls, seconds=seconds)
            before, in_loop = found["before"].median, found["in_loop"].median
            yield {
                "layer": problem.setting.title,
                "pass": name,
                "before": before,
                "in_loop": in_loop,
                "ratio": before / in_loop,
                "chosen": _chosen(problem, name),
            }


def _call(problem: Problem, name: Pass, place: str) -> Callable[[], Any]:
    """The pass, compiled with the projection before or in the loop."""
    project = "inside" if place == "in_loop" else "before"
    contender = ours(problem, build_layer(problem, scan=Gated(unroll=1, project=project)))
    program = contender.compiled(name)
    x, cotangent, lengths = contender.inputs
    arguments = (x, lengths) if name == "forward" else (x, cotangent, lengths)
    return lambda: jax.block_until_ready(program(contender.params, *arguments))


def _chosen(problem: Problem, name: Pass) -> str:
    setting = problem.setting
    shape = setting.T, setting.B, setting.I
    cell: Any = build_layer(problem).cells[0]
    return "in_loop" if projects_inside(cell, shape, name != "forward") else "before"
