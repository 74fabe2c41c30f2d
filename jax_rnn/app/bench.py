"""``jax-rnn bench``: the speed of a layer on this machine."""

import os
from typing import Annotated, Any, Literal

from jax_rnn.app.common import File, Kind, check_outputs, console, say_written
from jax_rnn.base.console import say
from jax_rnn.base.errors import ArgumentError

__all__ = ["bench"]

BUSY = 0.3
"""Load per core above which timings are unreliable."""

MAX_LAYERS = 1_000


def bench(
    *,
    layer: Literal["RNN", "LSTM", "GRU"] = "LSTM",
    shape: Annotated[str, "B,T,I,H"] = "32,35,200,200",
    pass_: Annotated[Literal["forward", "backward", "step", "loop", "all"], "PASS"] = "all",
    layers: int = 1,
    bidirectional: bool = False,
    ragged: bool = False,
    precision: Literal["float32", "tf32", "bfloat16", "float16"] = "float32",
    seconds: float = 1.0,
    tune: bool = False,
    cell: Annotated[str | None, "NAME"] = None,
    compiler_options: Annotated[str, "'NAME=VALUE ...'"] = "",
    device: Kind = None,
    json: File = None,
) -> None:
    """Measure the speed of a layer on this machine, and of PyTorch if it is installed.

    Both frameworks get the same weights. Their results are compared first, then their calls are
    timed alternately. The columns are the median and the minimum time of a call, the median per
    time step, GFLOP/s and its share of the fastest matrix product on this machine, the time of the
    first call including compilation, and the ratio of the median to that of jax_rnn.

    With --tune, the layer is compiled with each of the options of XLA that are known to help some
    layers, and the speed with them is compared with that without.

    $ jax-rnn bench
    $ jax-rnn bench --layer GRU --shape 20,35,650,650 --pass step
    $ jax-rnn bench --device gpu --precision tf32 --json gpu.json
    $ jax-rnn bench --compiler-options xla_cpu_prefer_vector_width=512
    $ jax-rnn bench --tune --layer LSTM --shape 20,35,650,650
    $ jax-rnn bench --tune --cell mine.py:MyCell --shape 32,35,200,200

    Args:
        layer: Kind of layer, as in torch.nn.
        shape: Batch size, time steps, input features and hidden features.
        pass_: What is timed: forward; backward, which includes forward; step, a training step with
            Adam; loop, the same in a loop of four steps, which JAX compiles as one program; or all.
        layers: Number of layers, at most 1,000.
        bidirectional: Use a bidirectional layer.
        ragged: Use sequences of different lengths, from 1 to T.
        precision: Data type of weights and inputs; tf32 is float32 with matrix products in TF32.
        seconds: Approximate time to measure each pass in each framework.
        tune: Time forward and backward under options of XLA, in jax_rnn only, and print those that
            helped.
        cell: With --tune, the layer of this cell: a name, or FILE.py:NAME, a class or function that
            is called with the input size, the hidden size and rngs.
        compiler_options: Options of XLA for the programs of jax_rnn, as --tune prints those that
            helped, separated by spaces.
        device: Device of both frameworks; by default the best one that JAX finds.
        json: Write all results to this JSON file.
    """
    sizes = _numbers(shape)
    if not 1 <= layers <= MAX_LAYERS:
        raise ArgumentError("layers", f"expected 1 to {MAX_LAYERS:,}, got {layers:,}")
    if not seconds > 0:
        raise ArgumentError("seconds", f"expected more than 0, got {seconds:g}")
    if cell is not None and not tune:
        raise ArgumentError("cell", f"expected --tune with it, got {cell!r} alone")
    if tune and pass_ in ("step", "loop"):
        raise ArgumentError(
            "pass_", f"expected forward, backward or all with --tune, got {pass_!r}"
        )
    if tune and compiler_options:
        raise ArgumentError("compiler_options", "expected it without --tune, which tries several")
    from functools import partial

    import jax

    from jax_rnn.base.compiler import check_compiler_options, parsed_options
    from jax_rnn.base.devices import choose
    from jax_rnn.base.environment import environment
    from jax_rnn.bench.ceiling import measure_ceiling
    from jax_rnn.bench.console import print_row
    from jax_rnn.bench.files import write_json
    from jax_rnn.bench.ours import ours
    from jax_rnn.bench.problem import PASSES, Problem, Setting
    from jax_rnn.bench.pytorch import pytorch, torch_device
    from jax_rnn.bench.race import OURS, race

    check_outputs(json=json)
    warn_if_busy()
    where = choose(device)
    with jax.default_device(where):
        options = check_compiler_options(parsed_options(compiler_options.split()))
    setting = Setting(layer, *sizes, layers, bidirectional, ragged, precision=precision)
    if tune:
        passes = ("forward", "backward") if pass_ == "all" else (pass_,)
        _tune(setting, cell, passes, seconds, where, json)
        return
    builders = {
        OURS: partial(ours, device=where, compiler_options=options),
        "torch": partial(pytorch, device=torch_device(where.platform)),
    }
    ceiling = measure_ceiling(seconds, device=where, precision=precision)
    kinds = PASSES if pass_ == "all" else (pass_,)
    row = race(Problem.draw(setting), builders, kinds, seconds=seconds)
    print_row(console, row, ceiling)
    fastest = f"{max(ceiling.values()):.0f} GFLOP/s"
    say(console, f"ceiling: {fastest}, the fastest matrix product on this machine")
    if json:
        about = {"environment": environment(), "compiler_options": options}
        write_json(json, {"ceiling": ceiling, "row": row} | about)
    say_written(json)
    if row.refused:
        raise SystemExit(1)


def _tune(
    setting: Any, cell: str | None, kinds: tuple[str, ...], seconds: float, device: Any, json: File
) -> None:
    """Time the layer under options of XLA."""
    import jax
    from flax import nnx

    from jax_rnn.base.environment import environment
    from jax_rnn.bench.console import print_tuned
    from jax_rnn.bench.files import write_json
    from jax_rnn.bench.ours import build_layer
    from jax_rnn.bench.problem import Problem
    from jax_rnn.bench.tune import tune
    from jax_rnn.layers.recurrent import Recurrent
    from jax_rnn.probes.found import find_cell

    with jax.default_device(device):
        problem, title = Problem.draw(setting), setting.title
        if cell is None:
            layer = build_layer(problem)
        else:
            found = find_cell(cell, "cell")
            layer = Recurrent(found.value(setting.I, setting.H, rngs=nnx.Rngs(0)))
            title = f"{found.name} {setting.shape}".replace(", ", ",")
        x = problem.x.swapaxes(0, 1).astype(setting.dtype)
        rows = tune(layer, x, kinds=kinds, seconds=seconds)
    print_tuned(console, title, rows)
    if json:
        write_json(json, {"title": title, "rows": rows, "environment": environment()})
    say_written(json)


def warn_if_busy() -> None:
    """Warn if other programs affect the timings."""
    cores = os.cpu_count() or 1
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if load > BUSY * cores:
        say(
            console,
            f"warning: this machine is busy (load {load:.1f} on {cores} cores), so the timings are "
            "unreliable; run this command again on an idle machine",
        )


def _numbers(shape: str) -> tuple[int, int, int, int]:
    words = shape.replace("x", ",").split(",")
    if len(words) != 4 or not all(word.strip().isdecimal() and int(word) for word in words):
        raise ArgumentError(
            "shape", f"expected four sizes above 0, as 32,35,200,200, got {shape!r}"
        )
    b, t, i, h = map(int, words)
    return b, t, i, h
