"""What the layers and other JAX libraries compile to on a GPU or TPU, without having one.

    make bench-compiled                                        all three devices
    python -m benchmarks.compiled --for h100
    python -m benchmarks.compiled --for v5e --rows 32,35,200,200 --kinds LSTM --passes forward
    python -m benchmarks.compiled --for h100 --peers --scan sequential gated --unroll 1 8 16
    python -m benchmarks.compiled --for h100 --compiler-option xla_gpu_graph_min_graph_size=1

All libraries get the same weights, and their results must agree on the CPU before their programs
are compiled. The programs are not run: kernels, copies and temporary arrays are counted in them,
and cycles are the estimate of the TPU's compiler.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.targets import TARGETS, MissingError, Target

RESULTS = Path(__file__).parent / "results"

KINDS = ("RNN", "LSTM", "GRU")
PASSES = ("forward", "backward", "step")
PEERS = ("flax.nnx", "flax.linen", "haiku", "equinox", "keras")
PACKAGES = ("libtpu", "jax-cuda13-plugin", "nvidia-cuda-nvcc")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    target = TARGETS[options.target]
    from rich.console import Console

    from jax_rnn.base.console import say

    errors = Console(stderr=True)
    try:
        target.prepare()
        result = run(options, target, errors)
    except (MissingError, ValueError) as error:
        say(errors, error, "error:")
        return 2 if isinstance(error, ValueError) else 1
    _finish(result, options)
    return 1 if any(row.refused for row in result["rows"]) else 0


def run(options: argparse.Namespace, target: Target, errors: Any) -> dict[str, Any]:
    """Compile the selected rows. ValueError: an unknown row, scan or option of the compiler."""
    import jax

    from benchmarks.environment import environment
    from benchmarks.programs import check_options, compile_row, entrants, values
    from benchmarks.rows import NAMES, settings
    from benchmarks.summary import summarise
    from jax_rnn.base.environment import installed
    from jax_rnn.scans.choice import named

    began = time.perf_counter()
    wanted = list(settings(options.rows or NAMES[:-1], options.kinds))
    for scan in options.scan:
        named(scan)
    if min(options.unroll, default=1) < 1:
        raise ValueError(f"--unroll: expected at least 1, got {min(options.unroll)}")
    flags = dict(values(options.compiler_option))
    device = target.device()
    check_options(device, flags)
    rows = []
    for k, setting in enumerate(wanted, 1):
        elapsed = time.perf_counter() - began
        words = f"{elapsed:5.0f} s  {k} of {len(wanted)}: {setting.title}"
        errors.print(words, highlight=False, soft_wrap=True, markup=False)
        builds = entrants(setting, options.peers, options.scan, options.unroll)
        row = compile_row(setting, builds, options.passes, device, flags, scalars=target.scalars)
        for name, reason in row.refused.items():
            words = f"refused: {name}, {reason}"
            errors.print(words, highlight=False, soft_wrap=True, markup=False)
        rows.append(row)
        jax.clear_caches()
    packages = {name: installed(name) or "not installed" for name in PACKAGES}
    return {
        "environment": environment(os.cpu_count() or 1) | packages,
        "target": target.title,
        "rows": rows,
        "summary": summarise(rows, PEERS),
        "seconds": time.perf_counter() - began,
        "options": {k: v for k, v in vars(options).items() if k != "json"},
    }


def _finish(result: dict[str, Any], options: argparse.Namespace) -> None:
    """Print the tables and write the files."""
    from benchmarks.compiled_tables import LEGEND, compiled_tables
    from benchmarks.tables import as_markdown, show_tables
    from jax_rnn.base.storage import write_text
    from jax_rnn.bench.files import plain, write_json

    result = plain(result)
    tables = compiled_tables(result)
    show_tables(tables, LEGEND)
    for line in {f"{n}: {why}": None for row in result["rows"] for n, why in row["absent"].items()}:
        print(f"not compiled: {line}")
    if path := options.json or _default(options):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, result)
        write_text(path.with_suffix(".md"), as_markdown(tables, LEGEND) + "\n")
        print(f"written: {path}, {path.with_suffix('.md')}")


def _default(options: argparse.Namespace) -> Path | None:
    """The result file of a complete run."""
    whole = not (options.rows or options.scan or options.unroll or options.compiler_option)
    same = (options.kinds, options.passes, options.peers)
    whole = whole and same == (list(KINDS), list(PASSES[:2]), list(PEERS))
    return RESULTS / f"compiled-{options.target}.json" if whole else None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.compiled",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--for", dest="target", choices=tuple(TARGETS), required=True, help="the device")
    add("--rows", nargs="+", metavar="ROW", help="B,T,I,H, ragged or custom (default: not custom)")
    add("--kinds", nargs="+", choices=KINDS, default=list(KINDS), help="layers (default: all)")
    add(
        "--passes",
        nargs="+",
        choices=PASSES,
        default=list(PASSES[:2]),
        help="backward is forward and backward, step also updates (default: forward backward)",
    )
    add("--peers", nargs="*", choices=PEERS, default=list(PEERS), help="libraries (default: all)")
    add("--scan", nargs="+", default=[], metavar="NAME", help="also these scans of jax_rnn")
    add("--unroll", nargs="+", type=int, default=[], metavar="N", help="also Gated(unroll=N)")
    add(
        "--compiler-option",
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help="options of XLA, as for jax.jit(..., compiler_options=)",
    )
    add("--json", type=Path, help="result file (default: results/compiled-*.json if all rows run)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
