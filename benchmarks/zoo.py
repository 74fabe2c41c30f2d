"""A training step of every cell, against a loop over its steps and against torch.

python -m benchmarks.zoo                     all cells, into benchmarks/results/zoo.json and .md
python -m benchmarks.zoo --cells gru,lru     some, printed only
"""

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jax_rnn.bench.timing import interleave
from jax_rnn.cells.catalogue import CATALOGUE
from jax_rnn.interop.packages import package_weights, weights_of
from jax_rnn.layers.recurrent import Recurrent

__all__ = ["zoo"]

RESULTS = Path(__file__).parent / "results"
SHAPE = (32, 128, 256, 256)
"""B, T, I, H."""

CELLS = [name for name in CATALOGUE if name != "conv_lstm"]
SHORT = {"layer_norm_lstm", "lin_oss", "mlstm", "rg_lru", "selective_ssm", "slstm"}
"""Cells with a short torch version in reference_torch/cells."""

PACKAGED = {
    # cell: package, module and class, whether its state is a tuple
    "peephole_lstm": ("torchrecurrent", "torchrecurrent:PeepholeLSTMCell", True),
    "ugrnn": ("torchrecurrent", "torchrecurrent:UGRNNCell", False),
    "mgu": ("torchrecurrent", "torchrecurrent:MGUCell", False),
    "li_gru": ("torchrecurrent", "torchrecurrent:LiGRUCell", False),
    "ind_rnn": ("torchrecurrent", "torchrecurrent:IndRNNCell", False),
    "star": ("torchrecurrent", "torchrecurrent:STARCell", False),
    "co_rnn": ("torchrecurrent", "torchrecurrent:coRNNCell", True),
    "cifg_lstm": ("torch", "torch.nn:LSTMCell", True),
}
OPTIONS = {"ind_rnn": {"nonlinearity": "relu"}, "co_rnn": {"dt": 0.042, "gamma": 2.7}}
OPTIONS["co_rnn"]["epsilon"] = 4.7


def zoo(
    seconds: float, cells: Sequence[str] = CELLS, shape: tuple[int, ...] = SHAPE
) -> Iterator[dict[str, Any]]:
    """Rows ``{"cell", "scan", "ours", "loop", "torch"}``, medians in seconds of a training step.

    A step is a forward pass and the gradients of all weights and of the inputs. ``loop`` is
    ``lax.scan`` over ``cell(carry, x)``, as a user would write it, ``torch`` a loop over the steps
    of the cell's other implementation, None where it has none that runs step by step. The results
    are compared first.
    """
    batch, steps, features, size = shape
    x = np.asarray(jax.random.normal(jax.random.key(0), (steps, batch, features)))
    for name in cells:
        cell = CATALOGUE[name].build(features, size, rngs=nnx.Rngs(0))
        layer = Recurrent(cell)
        calls = {"ours": _ours(layer, x), "loop": _loop(cell, x)}
        theirs = _torch(name, cell, x)
        if theirs is not None:
            calls["torch"] = theirs
        _compare(name, {kind: call() for kind, call in calls.items()})
        found = interleave(calls, seconds=seconds)
        yield {
            "cell": name,
            "scan": type(layer.chosen_scans(x.shape)[0]).__name__,
            **{kind: found[kind].median if kind in found else None for kind in _KINDS},
        }


_KINDS = ("ours", "loop", "torch")


def _ours(layer: Recurrent, x: Any) -> Callable[[], Any]:
    return _training(layer, x, lambda layer, x: layer(x)[0])


def _loop(cell: Any, x: Any) -> Callable[[], Any]:
    def run(cell: Any, x: Any) -> Any:
        carry = cell.initialize_carry(x.shape[1:])
        return jax.lax.scan(lambda carry, x: cell(carry, x), carry, x)[1]

    return _training(cell, x, run)


def _training(module: Any, x: Any, run: Callable[..., Any]) -> Callable[[], Any]:
    graphdef, params = nnx.split(module)

    def loss(params: Any, x: Any) -> Any:
        y = run(nnx.merge(graphdef, params), x)
        return (y**2).mean()

    program = jax.jit(jax.value_and_grad(loss, (0, 1)))
    x = jnp.asarray(x)

    def call() -> tuple[float, np.ndarray]:
        value, (_, dx) = jax.block_until_ready(program(params, x))
        return float(value), np.asarray(dx)

    return call


def _torch(name: str, cell: Any, x: Any) -> Callable[[], Any] | None:
    """A training step of the other implementation, with the same weights."""
    if name not in SHORT and name not in PACKAGED:
        return None
    import torch

    sizes = cell.input_size, cell.hidden_size
    if name in SHORT:
        kind = getattr(import_module(f"reference_torch.cells.{name}"), type(cell).__name__)
        square = {"rg_lru": (sizes[0],), "selective_ssm": (sizes[0], 16, sizes[0] // 16)}
        module, weights = kind(*square.get(name, sizes)), weights_of(cell)
    else:
        package, place, _ = PACKAGED[name]
        path, _, attribute = place.partition(":")
        kind = getattr(import_module(path), attribute)
        module, weights = kind(*sizes, **OPTIONS.get(name, {})), package_weights(cell, package)
    module.load_state_dict({k: torch.tensor(np.asarray(v)) for k, v in weights.items()})
    first = cell.initialize_carry(x.shape[1:])
    state = tuple(torch.tensor(np.asarray(leaf)) for leaf in first)
    if name == "lin_oss":
        state = (state[0][..., 0], state[0][..., 1])
    inputs = torch.tensor(x, requires_grad=True)

    def step(x_t: Any, carry: Any) -> Any:
        if name in SHORT:
            return module(x_t, carry)
        new = module(x_t, carry if PACKAGED[name][2] else carry[0])
        return (new[0], new) if PACKAGED[name][2] else (new, (new,))

    def call() -> tuple[float, np.ndarray]:
        module.zero_grad()
        inputs.grad = None
        carry, outputs = state, []
        for x_t in inputs:
            y, carry = step(x_t, carry)
            outputs.append(y)
        loss = (torch.stack(outputs) ** 2).mean()
        loss.backward()
        assert inputs.grad is not None
        return float(loss.detach()), inputs.grad.numpy().copy()

    return call


def _compare(name: str, results: dict[str, Any]) -> None:
    """Compare losses and gradients of the inputs. ValueError: they differ."""
    value, dx = results["ours"]
    for kind, (other, other_dx) in results.items():
        scale = max(np.abs(dx).max(), 1e-30)
        difference = max(abs(other - value) / abs(value), np.abs(other_dx - dx).max() / scale)
        if not difference < 1e-2:
            raise ValueError(f"{name}: expected the same results of {kind}, got {difference:.1e}")


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Times of others relative to ours, in Markdown."""
    lines = ["| cell | scan | training step | loop over `cell` | torch |"]
    lines.append("| --- " * 2 + "| ---: " * 3 + "|")
    for row in rows:
        ratios = [f"{row[kind] / row['ours']:.2f}" if row[kind] else "" for kind in _KINDS[1:]]
        lines.append(
            f"| {row['cell']} | {row['scan']} | {row['ours'] * 1e3:.1f} ms | {' | '.join(ratios)} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cells", help="names with commas between them, printed only")
    parser.add_argument("--shape", default=",".join(map(str, SHAPE)), help="B,T,I,H")
    parser.add_argument("--seconds", type=float, default=1.0, help="time for each program")
    options = parser.parse_args()
    shape = tuple(map(int, options.shape.split(",")))
    cells = options.cells.split(",") if options.cells else CELLS
    from jax_rnn.base.environment import environment

    rows = []
    for row in zoo(options.seconds, cells, shape):
        print(row, flush=True)
        rows.append(row)
    if not options.cells:
        content = {"shape": shape, "rows": rows, "environment": environment()}
        (RESULTS / "zoo.json").write_text(json.dumps(content, indent=1) + "\n", "utf-8")
        (RESULTS / "zoo.md").write_text(table(rows), "utf-8")
    print(table(rows), end="")


if __name__ == "__main__":
    main()
