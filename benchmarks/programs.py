"""Compile the passes of a row for a target, and count what its programs launch."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Any

from benchmarks.launches import Loop, Work, count
from benchmarks.peers import builders
from jax_rnn.bench.contender import Build
from jax_rnn.bench.ours import build_layer, ours
from jax_rnn.bench.problem import Pass, Problem, Setting
from jax_rnn.bench.race import OURS, Row, race
from jax_rnn.scans import Gated

__all__ = ["CompiledEntry", "check_options", "check_row", "compile_row", "entrants"]


@dataclass(frozen=True)
class CompiledEntry:
    """One contender in one pass.

    Attributes:
        launches: kernels and copies of the whole program.
        per_step: kernels and copies in loops, divided by the time steps.
        outside: what is launched outside of loops.
        loops: one iteration of each loop, and their numbers.
        cycles: the compiler's estimate for the whole program; None if it makes none, e.g. of a
            kernel of our own.
        temporaries: bytes of temporary arrays in the device's memory.
        seconds: seconds of the processor for the compilation, of all threads together.
        ratio: cycles, or launches if there are none, divided by those of jax_rnn.
    """

    launches: int
    per_step: float
    outside: Work
    loops: list[Loop]
    cycles: int | None
    temporaries: int
    seconds: float
    ratio: float | None


def entrants(
    setting: Setting, peers: Sequence[str], scans: Sequence[str], unroll: Sequence[int]
) -> dict[str, Build]:
    """jax_rnn with its own choice, with the named scans, with ``Gated(unroll)``; then the peers.

    Args:
        setting: the row.
        peers: names of other libraries.
        scans: names of scans of jax_rnn; ``"auto"`` is its own choice.
        unroll: steps per iteration of the gated scan.
    """
    first, *others = builders(setting, list(peers)).items()
    found = dict([first])
    for scan in (*scans, *map(Gated, unroll)):
        name = f"gated unroll={scan.unroll}" if isinstance(scan, Gated) else scan
        if name != "auto" and not setting.custom:
            found[f"{OURS} {name}"] = partial(_with_scan, scan)
    return found | dict(others)


def _with_scan(scan: Any, problem: Problem) -> Any:
    return ours(problem, build_layer(problem, scan=scan))


def check_row(
    setting: Setting, builds: Mapping[str, Build], names: Iterable[str]
) -> tuple[dict[str, Any], dict[str, Row]]:
    """Check on the CPU that all compute the same: those that do, and an empty row for each target.

    Args:
        setting: the row.
        builds: builders by name.
        names: of the targets.
    """
    problem = Problem.draw(setting)
    row = race(problem, builds, (), seconds=0.0)
    left = [name for name in builds if name not in row.absent and name not in row.refused]
    rows = {name: replace(row, entries={}, refused=dict(row.refused)) for name in names}
    return {name: builds[name](problem) for name in left}, rows


def compile_row(
    row: Row,
    contenders: Mapping[str, Any],
    passes: Sequence[Pass],
    target: Any,
    options: Mapping[str, Any],
    *,
    scalars: bool,
) -> None:
    """Compile every pass of all contenders, and add the entries to the row.

    Args:
        row: a row of ``check_row``; those that the compiler refuses are added to ``refused``.
        contenders: contenders by name, those of ``check_row``.
        passes: the passes to compile.
        target: the device to compile for.
        options: options of the compiler by name.
        scalars: see ``benchmarks.launches.count``.
    """
    for kind in passes:
        row.entries[kind] = {}
    for (name, contender), kind in product(contenders.items(), passes):
        try:
            compiled, seconds = _compile(contender.lowered(kind, target), options)
        except Exception as error:  # the compiler's own, of several types
            row.refused[name] = f"{kind}: it is not compiled: {first_line(error)}"
            continue
        mine = row.entries[kind].get(OURS)
        entry: Any = _entry(compiled, seconds, row.setting.T, mine, scalars)
        row.entries[kind][name] = entry


def _compile(lowered: Any, options: Mapping[str, Any]) -> tuple[Any, float]:
    began = time.process_time()
    return lowered.compile(compiler_options=dict(options)), time.process_time() - began


def _entry(compiled: Any, seconds: float, steps: int, mine: Any, scalars: bool) -> CompiledEntry:
    program = count(compiled.as_text(), scalars=scalars)
    cycles = None if scalars else program.cycles
    of_ours = mine and (mine.launches if scalars else mine.cycles)
    work = program.launches if scalars else program.cycles
    return CompiledEntry(
        launches=program.launches,
        per_step=program.launches_in_loops / steps,
        outside=program.outside,
        loops=program.loops,
        cycles=cycles,
        temporaries=compiled.memory_analysis().temp_size_in_bytes,
        seconds=seconds,
        ratio=work / of_ours if work and of_ours else None if mine else 1.0,
    )


def first_line(error: Exception) -> str:
    return next(iter(f"{error}".splitlines()), type(error).__name__)


def check_options(target: Any, options: Mapping[str, Any]) -> None:
    """Compile a program of one addition. ValueError: the compiler refuses an option."""
    import jax
    import jax.numpy as jnp

    place = jax.sharding.SingleDeviceSharding(target)
    x = jax.ShapeDtypeStruct((8,), jnp.float32, sharding=place)
    try:
        _compile(jax.jit(lambda x: x + 1).lower(x), options)
    except Exception as error:
        raise ValueError(f"--compiler-option: {first_line(error)}") from error
