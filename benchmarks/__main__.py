"""Speed of the layers compared with torch, Flax, haiku, equinox and Keras; and of the lecture.

    make bench                                     everything, 15 minutes
    python -m benchmarks --quick                   small rows, two minutes
    python -m benchmarks --rows 64,256,256,256 --kinds LSTM --passes step --peers torch flax.nnx
    python -m benchmarks --sections lecture        ihello warm, cold and from 10,000 seeds
    python -m benchmarks --device gpu              layers, training and tests on a GPU, or on a tpu
    python -m benchmarks --device gpu --sections layers --rows 16,1024,768,768 --json gpu.json

All libraries run in this process with the same weights, and their results must agree before they
are timed. They run alternately, once per round, and each round starts with another library.
Libraries that are not installed are listed and skipped; benchmarks/requirements.txt lists them all.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"

SECTIONS = ("layers", "projection", "heads", "lecture", "memory")
KINDS = ("RNN", "LSTM", "GRU")
PASSES = ("forward", "backward", "step", "loop")
PEERS = ("torch", "flax.nnx", "flax.linen", "haiku", "equinox", "keras")
STAGES = ("layers", "char_lm", "tests")


def main(arguments: Sequence[str] | None = None) -> int:
    options = _complete(_parser().parse_args(arguments))
    if options.device != "cpu" and not options.sections:
        from benchmarks.device import measure_device

        return measure_device(options, sys.argv[1:] if arguments is None else arguments, RESULTS)
    options.threads = _use_threads(options.threads)
    if options.device == "cpu" or options.pretend:
        os.environ.setdefault("JAX_PLATFORMS", "cpu")
    from rich.console import Console

    from jax_rnn.base.console import say
    from jax_rnn.base.devices import DeviceError, choose

    errors = Console(stderr=True)
    try:
        device = choose("cpu" if options.pretend else options.device)
        result = run(options, device, errors)
    except (DeviceError, ValueError) as error:
        say(errors, error, "error:")
        return 2 if isinstance(error, ValueError) else 1
    _finish(result, options)
    return 1 if any(row.refused for row in result["rows"]) else 0


def run(options: argparse.Namespace, device: Any, errors: Any) -> dict[str, Any]:
    """Run the selected sections. ValueError: an unknown row."""
    import jax

    from benchmarks.environment import environment
    from benchmarks.heads import heads
    from benchmarks.lecture import lecture
    from benchmarks.memory import memory
    from benchmarks.peers import builders
    from benchmarks.projection import projection
    from benchmarks.rows import FLASHRNN, NAMES, QUICK, settings, shape_name
    from benchmarks.summary import summarise
    from jax_rnn.bench.ceiling import measure_ceiling
    from jax_rnn.bench.problem import Problem
    from jax_rnn.bench.race import race

    began = time.perf_counter()
    every = NAMES if options.device == "cpu" else (*NAMES, shape_name(FLASHRNN))
    names = options.rows or (QUICK if options.quick else every)
    sections = options.sections or (("layers", "lecture") if options.quick else SECTIONS)
    wanted = list(settings(names, options.kinds, options.device))
    result: dict[str, Any] = {
        "environment": environment(options.threads),
        "rows": [],
        "ceiling": {},
        "projection": [],
        "heads": [],
        "lecture": [],
        "memory": [],
    }

    def say(words: str) -> None:
        elapsed = time.perf_counter() - began
        errors.print(f"{elapsed:5.0f} s  {words}", highlight=False, soft_wrap=True, markup=False)

    def ceiling() -> None:
        for precision in dict.fromkeys(setting.precision for setting in wanted):
            seconds = 0.3 if options.quick else 1.0
            for name, value in measure_ceiling(seconds, device=device, precision=precision).items():
                name = name if precision == "float32" else f"{name} {precision}"
                result["ceiling"][name] = max(value, result["ceiling"].get(name, 0.0))

    if "layers" in sections:
        ceiling()
        for k, setting in enumerate(wanted, 1):
            say(f"{k} of {len(wanted)}: {setting.title}")
            problem = Problem.draw(setting)
            entrants = builders(setting, options.peers, options.device, options.pretend)
            row = race(problem, entrants, options.passes, seconds=options.seconds)
            for name, reason in row.refused.items():
                say(f"refused: {name}, {reason}")
            result["rows"].append(row)
            jax.clear_caches()
        ceiling()
    if "projection" in sections:
        say("where inputs are projected")
        result["projection"] = list(projection(options.seconds))
    if "heads" in sections:
        say("block-diagonal hidden maps")
        result["heads"] = list(heads(options.seconds))
    if "lecture" in sections:
        say("the lecture")
        result["lecture"] = list(
            lecture(rounds=5 if options.quick else 20, processes=0 if options.quick else 5)
        )
    if "memory" in sections:
        say("memory")
        result["memory"] = list(memory())
    result["summary"] = summarise(result["rows"], PEERS[1:])
    result["seconds"] = time.perf_counter() - began
    result["options"] = {
        name: str(value) if isinstance(value, Path) else value
        for name, value in vars(options).items()
        if name not in ("json", "plot")
    }
    return result


def _use_threads(threads: int | None) -> int:
    """Use the same number of threads in JAX (by the process affinity) and torch."""
    if threads and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    free = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        import torch
    except ModuleNotFoundError:
        return free or 1
    torch.set_num_threads(free or 1)
    return free or 1


def _finish(result: dict[str, Any], options: argparse.Namespace) -> None:
    """Print the tables and write the files."""
    from rich.console import Console

    from benchmarks.tables import show
    from jax_rnn.bench.files import plain, write_json

    result = plain(result)
    show(result)
    console = Console()
    absent = {f"{n}: {why}": None for row in result["rows"] for n, why in row["absent"].items()}
    for line in absent:
        console.print(f"not timed: {line}", highlight=False, soft_wrap=True)
    for path in (options.json, options.plot):
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
    if options.json:
        write_json(options.json, result)
        console.print(f"written: {options.json}", highlight=False, soft_wrap=True)
    if options.plot and result["rows"]:
        from benchmarks.plot import plot

        plot(result, options.plot)
        console.print(f"written: {options.plot}", highlight=False, soft_wrap=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="small rows and short measurements, about two minutes")
    add("--rows", nargs="+", metavar="ROW", help="B,T,I,H, ragged or custom (default: all)")
    add("--kinds", nargs="+", choices=KINDS, default=list(KINDS), help="layers (default: all)")
    add("--passes", nargs="+", choices=PASSES, default=list(PASSES), help="default: all")
    add("--peers", nargs="*", choices=PEERS, default=list(PEERS), help="libraries (default: all)")
    add("--sections", nargs="+", choices=SECTIONS, help="default: all on a CPU")
    add("--seconds", type=float, help="approximate time per library and pass; at least 5 rounds")
    add("--threads", type=int, help="threads of both frameworks (default: number of cores)")
    add("--device", choices=("cpu", "gpu", "tpu"), default="cpu", help="default: cpu")
    add("--json", type=Path, help="result file (default: results/speed.json if all rows run)")
    add("--plot", type=Path, help="plot file (default: results/speed.png if all rows run)")
    group = parser.add_argument_group("on a GPU or TPU, without --sections")
    add = group.add_argument
    add("--stages", nargs="+", choices=STAGES, default=list(STAGES), help="default: all")
    add("--out", type=Path, help="folder (default: results/DEVICE-NAME, of --pretend in build)")
    add("--steps", type=int, help="steps of char_lm (default: the lesson's)")
    add("--text", type=Path, help="text of char_lm (default: the lesson's)")
    add("--tests", default="-m 'not long'", help="words for pytest (default: %(default)s)")
    add("--pretend", action="store_true", help="run on the CPU, to try the command")
    return parser


def _complete(options: argparse.Namespace) -> argparse.Namespace:
    """Fill in the default duration and the result files of a complete run."""
    if options.seconds is None:
        options.seconds = 0.2 if options.quick else 0.6
    whole = not (options.quick or options.rows or options.sections or options.device != "cpu")
    whole = whole and set(options.kinds) == set(KINDS) and set(options.passes) == set(PASSES)
    if whole:
        options.json = options.json or RESULTS / "speed.json"
        options.plot = options.plot or RESULTS / "speed.png"
    return options


if __name__ == "__main__":
    sys.exit(main())
