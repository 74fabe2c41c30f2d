"""Memory and time of a training step of an LSTM, each variant in its own process.

python -m benchmarks.memory sequential 1000
"""

import argparse
import json
import math
import resource
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

__all__ = ["STEPS", "VARIANTS", "memory", "peak"]

VARIANTS = ("auto", "checkpoint", "sequential")
"""The default; with checkpoints; the sequential scan, differentiated by JAX."""

STEPS = (1_000, 10_000)
SIZES = {"B": 64, "I": 256, "H": 256}

ROOT = Path(__file__).parents[1]

SHARE = 0.8
"""Share of the free memory; a variant that needs more is not started."""


def memory(
    steps: Sequence[int] = STEPS,
    sizes: dict[str, int] = SIZES,
    variants: Sequence[str] = VARIANTS,
) -> Iterator[dict[str, Any]]:
    """Rows ``{"variant", "T", "temporaries", "peak", "seconds", "failure"}``, in bytes.

    ``temporaries`` is the memory that XLA plans for the program, ``peak`` the peak memory of the
    process minus its memory after the imports; it includes compilation, weights and inputs.
    """
    for count in steps:
        for variant in variants:
            command = [sys.executable, "-m", "benchmarks.memory", variant, str(count)]
            command += [str(sizes[name]) for name in ("B", "I", "H")]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
            row: dict[str, Any] = {"variant": variant, "T": count, "failure": None}
            lines = done.stdout.splitlines()
            if done.returncode == 0 and lines:
                row |= json.loads(lines[-1])
            else:
                said = (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1]
                row["failure"] = "does not fit" if done.returncode < 0 else said[:200]
            yield row


def measure(variant: str, sizes: tuple[int, int, int, int]) -> dict[str, Any]:
    """Measure one variant in this process, which should be new."""
    from jax_rnn.bench.ours import build_layer, ours
    from jax_rnn.bench.problem import Problem, Setting
    from jax_rnn.bench.timing import timed
    from jax_rnn.scans import Checkpointed

    baseline = peak()
    options: dict[str, Any] = {
        "auto": {},
        "checkpoint": {"scan": Checkpointed(every=math.isqrt(sizes[1]))},
        "sequential": {"scan": "sequential"},
    }[variant]
    problem = Problem.draw(Setting("LSTM", *sizes))
    try:
        layer = build_layer(problem, **options)
    except TypeError as error:
        return {"failure": str(error)}
    contender = ours(problem, layer)
    temporaries = contender.compiled("step").memory_analysis().temp_size_in_bytes
    if temporaries > SHARE * free_memory():
        return {
            "temporaries": temporaries,
            "failure": f"does not fit: {temporaries / 2**30:.1f} GiB",
        }
    _bound_memory()
    try:
        contender.run("step")
        seconds = [timed(lambda: contender.run("step"))[0] for _ in range(3)]
    except (MemoryError, RuntimeError) as error:
        return {"temporaries": temporaries, "failure": f"does not fit: {str(error)[:80]}"}
    return {
        "temporaries": temporaries,
        "peak": peak() - baseline,
        "seconds": statistics.median(seconds),
    }


def peak() -> int:
    """Peak memory of this process; on Linux, ru_maxrss starts at the parent's value."""
    if (held := _kilobytes("/proc/self/status", "VmHWM:")) is not None:
        return held * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _kilobytes(file: str, field: str) -> int | None:
    path = Path(file)
    lines = path.read_text().splitlines() if path.exists() else []
    return next((int(line.split()[1]) for line in lines if line.startswith(field)), None)


def free_memory() -> float:
    """Bytes that a process can still allocate; infinite if the system does not report it."""
    free = _kilobytes("/proc/meminfo", "MemAvailable:")
    return math.inf if free is None else free * 1024.0


def _bound_memory() -> None:
    """Limit this process to the free memory, so that other processes are not affected."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        virtual = int(statm.read_text().split()[0]) * resource.getpagesize()
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (virtual + int(0.95 * free_memory()), hard))


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.memory",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("variant", choices=VARIANTS)
    parser.add_argument("T", type=int)
    for name, size in SIZES.items():
        parser.add_argument(name, type=int, nargs="?", default=size)
    options = parser.parse_args()
    sizes = (options.B, options.T, options.I, options.H)
    print(json.dumps(measure(options.variant, sizes)))


if __name__ == "__main__":
    main()
