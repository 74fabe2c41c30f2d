"""What the layers and other JAX libraries compile to on a GPU or TPU, without having one.

    make bench-compiled                                        everything, half an hour
    python -m benchmarks.compiled --for h100 v5e v6e
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
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.targets import TARGETS, MissingError, Target

RESULTS = Path(__file__).parent / "results"

KINDS = ("RNN", "LSTM", "GRU")
PASSES = ("forward", "backward", "step")
PEERS = ("flax.nnx", "flax.linen", "haiku", "equinox", "keras")
PACKAGES = ("libtpu", "jax-cuda13-plugin", "nvidia-cuda-nvcc")


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    targets = {name: TARGETS[name] for name in options.targets}
    from rich.console import Console

    from jax_rnn.base.console import say

    errors = Console(stderr=True)
    try:
        for target in targets.values():
            target.prepare()
        results = run(options, targets, errors)
    except (MissingError, ValueError) as error:
        say(errors, error, "error:")
        return 2 if isinstance(error, ValueError) else 1
    folder = options.out or (RESULTS if _whole(options) else None)
    for name, result in results.items():
        _finish(result, folder and folder / f"compiled-{name}.json")
    refused = [row.refused for result in results.values() for row in result["rows"] if row.refused]
    return 1 if refused else 0


def run(
    options: argparse.Namespace, targets: Mapping[str, Target], errors: Any
) -> dict[str, dict[str, Any]]:
    """The results by target. ValueError: an unknown row, scan or option of the compiler."""
    import jax

    from benchmarks.environment import environment
    from benchmarks.programs import check_options, check_row, compile_row, entrants
    from benchmarks.rows import NAMES, settings
    from benchmarks.summary import summarise
    from jax_rnn.base.compiler import parsed_options
    from jax_rnn.base.environment import installed
    from jax_rnn.scans.choice import named

    began = time.perf_counter()

    def say(words: str) -> None:
        elapsed = time.perf_counter() - began
        errors.print(f"{elapsed:5.0f} s  {words}", highlight=False, soft_wrap=True, markup=False)

    wanted = list(settings(options.rows or NAMES[:-1], options.kinds))
    for scan in options.scan:
        named(scan)
    if min(options.unroll, default=1) < 1:
        raise ValueError(f"--unroll: expected at least 1, got {min(options.unroll)}")
    flags = parsed_options(options.compiler_option)
    devices = {name: target.device() for name, target in targets.items()}
    for device in devices.values():
        check_options(device, flags)
    found: dict[str, list[Any]] = {name: [] for name in targets}
    for k, setting in enumerate(wanted, 1):
        say(f"{k} of {len(wanted)}: {setting.title}")
        builds = entrants(setting, options.peers, options.scan, options.unroll)
        contenders, rows = check_row(setting, builds, targets)
        for name, row in rows.items():
            say(f"{k} of {len(wanted)}: for {targets[name].title}")
            scalars = targets[name].scalars
            compile_row(row, contenders, options.passes, devices[name], flags, scalars=scalars)
            for refused, reason in row.refused.items():
                say(f"refused: {refused}, {reason}")
            found[name].append(row)
        jax.clear_caches()
    packages = {name: installed(name) or "not installed" for name in PACKAGES}
    about = {
        "environment": environment(os.cpu_count() or 1) | packages,
        "seconds": time.perf_counter() - began,
        "options": {k: v for k, v in vars(options).items() if k != "out"},
    }
    return {
        name: {"target": targets[name].title, "rows": rows, "summary": summarise(rows, PEERS)}
        | about
        for name, rows in found.items()
    }


def _finish(result: dict[str, Any], path: Path | None) -> None:
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
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, result)
        write_text(path.with_suffix(".md"), as_markdown(tables, LEGEND) + "\n")
        print(f"written: {path}, {path.with_suffix('.md')}")


def _whole(options: argparse.Namespace) -> bool:
    """Whether all rows, passes and libraries run, with the defaults of the compiler."""
    chosen = options.rows or options.scan or options.unroll or options.compiler_option
    same = (options.kinds, options.passes, options.peers)
    return not chosen and same == (list(KINDS), list(PASSES[:2]), list(PEERS))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.compiled",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--for",
        dest="targets",
        nargs="+",
        choices=tuple(TARGETS),
        required=True,
        help="the devices",
    )
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
    add(
        "--out",
        type=Path,
        help="folder for compiled-DEVICE.json and .md (default: results if all rows run)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
