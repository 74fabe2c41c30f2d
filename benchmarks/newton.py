"""Newton's method and the parallel adjoint against one step after another, over T and H.

python -m benchmarks.newton            the tables, and benchmarks/results/newton.json
python -m benchmarks.newton --quick    two small sizes, printed only
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from jax_rnn.bench.timing import interleave
from jax_rnn.cells.gru import GRUCell
from jax_rnn.layers.recurrent import Recurrent
from jax_rnn.scans.newton import Newton
from jax_rnn.scans.parallel_adjoint import ParallelAdjoint

__all__ = ["newton"]

RESULTS = Path(__file__).parent / "results"
BATCH, INPUTS = 1, 16
STEPS = (64, 256, 1024, 4096)
SIZES = (4, 16, 64, 256)
MOST = 2**27
"""Largest number of entries of all Jacobians; larger cases are left out."""

VARIANTS: dict[str, tuple[Any, bool]] = {
    # name: scan, whether the hidden map is diagonal
    "sequential": ("sequential", False),
    "Newton": (Newton(warn=False), False),
    "Newton, associative scan": (Newton(parallel=True, warn=False), False),
    "Newton, diagonal": (Newton("diagonal", max_iterations=200, warn=False), False),
    "parallel adjoint": (ParallelAdjoint(), False),
    "sequential, heads=H": ("sequential", True),
    "Newton, heads=H": (Newton(warn=False), True),
}


def newton(
    seconds: float, steps: Sequence[int] = STEPS, sizes: Sequence[int] = SIZES
) -> Iterator[dict[str, Any]]:
    """Rows ``{"T", "H", "variant", "forward", "training", "temporaries", "iterations"}``.

    A GRU with torch's initial values on random inputs. Times are medians in seconds of a forward
    pass, and of one with gradients; the variants of a size run alternately, after their results
    have been compared. Temporaries are the bytes that the second program plans.
    """
    for size in sizes:
        for count in steps:
            x = jax.random.normal(jax.random.key(0), (count, BATCH, INPUTS))
            calls, rows, expected = {}, {}, {}
            for name, (scan, diagonal) in VARIANTS.items():
                if name != "sequential" and not diagonal and count * size**2 > MOST:
                    continue
                heads = size if diagonal else 1
                layer = Recurrent(GRUCell(INPUTS, size, heads=heads, rngs=nnx.Rngs(0)), scan=scan)
                graphdef, params = nnx.split(layer)

                def forward(params, x, graphdef=graphdef):
                    return nnx.merge(graphdef, params)(x)[0]

                def training(params, x, forward=forward):
                    return jax.grad(lambda p, x: (forward(p, x) ** 2).sum(), (0, 1))(params, x)

                programs = [jax.jit(f).lower(params, x).compile() for f in (forward, training)]
                results = programs[0](params, x), programs[1](params, x)
                _compare(f"{name} at T={count}, H={size}", results, expected, diagonal)
                analysis: Any = programs[1].memory_analysis()
                rows[name] = {
                    "T": count,
                    "H": size,
                    "variant": name,
                    "temporaries": analysis.temp_size_in_bytes,
                    "iterations": _iterations(layer, x),
                }
                for kind, program in zip(("forward", "training"), programs, strict=True):
                    calls[f"{kind} {name}"] = _call(program, params, x)
            found = interleave(calls, seconds=seconds)
            for name, row in rows.items():
                yield row | {k: found[f"{k} {name}"].median for k in ("forward", "training")}


def _call(program: Any, params: Any, x: Any) -> Any:
    return lambda: jax.block_until_ready(program(params, x))


def _iterations(layer: Recurrent, x: Any) -> int | None:
    if not isinstance(layer.scan, Newton):
        return None
    (run,) = layer(x, return_extras=True)[2]
    return int(run.iterations) if run.converged else -1


def _compare(name: str, results: Any, expected: dict[bool, Any], diagonal: bool) -> None:
    """Compare with the first result of the same weights. ValueError: they differ."""
    first = expected.setdefault(diagonal, results)
    for ours, theirs in zip(jax.tree.leaves(results), jax.tree.leaves(first), strict=True):
        scale = max(1.0, float(jnp.abs(theirs).max()))
        difference = float(jnp.abs(ours - theirs).max()) / scale
        if not difference < 1e-3:
            raise ValueError(
                f"{name}: expected the same results, got a difference {difference:.1e}"
            )


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Two tables in Markdown, a line for each size.

    Times of the sequential scans in milliseconds, and of the others relative to the one with the
    same weights, forward / training, and iterations; above 1 is faster. Then MiB of temporaries in
    training.
    """
    variants = list(dict.fromkeys(row["variant"] for row in rows))
    sizes = dict.fromkeys((row["H"], row["T"]) for row in rows)
    tables = []
    for show in (_times, _memory):
        lines = [("H", "T", *variants), ("---:",) * (2 + len(variants))]
        for size, steps in sizes:
            of = {row["variant"]: row for row in rows if (row["H"], row["T"]) == (size, steps)}
            cells = (show(of[name], of) if name in of else "" for name in variants)
            lines.append((str(size), str(steps), *cells))
        tables.append("".join(f"| {' | '.join(line)} |\n" for line in lines))
    return "\n".join(tables)


def _times(row: dict[str, Any], others: dict[str, dict[str, Any]]) -> str:
    base = others["sequential, heads=H" if "heads" in row["variant"] else "sequential"]
    if row is base:
        return " / ".join(f"{row[kind] * 1e3:.2f}" for kind in ("forward", "training")) + " ms"
    times = " / ".join(f"{base[kind] / row[kind]:.2f}" for kind in ("forward", "training"))
    count = row["iterations"]
    return times if count is None else f"{times} ({'none' if count < 0 else count})"


def _memory(row: dict[str, Any], others: dict[str, dict[str, Any]]) -> str:
    return f"{row['temporaries'] / 2**20:.3g}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="two small sizes, printed only")
    parser.add_argument("--seconds", type=float, default=0.5, help="time for each program")
    options = parser.parse_args()
    if options.quick:
        print(table([*newton(0.01, (16,), (4, 8))]), end="")
        return
    from jax_rnn.base.environment import environment

    rows = []
    for row in newton(options.seconds):
        print(row, flush=True)
        rows.append(row)
    content = {"rows": rows, "environment": environment()}
    (RESULTS / "newton.json").write_text(json.dumps(content, indent=1) + "\n", "utf-8")
    print(table(rows), end="")


if __name__ == "__main__":
    main()
