"""Compare contenders on one problem: check parity, then time all passes alternately."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from jax_rnn.bench.afresh import compiled_afresh
from jax_rnn.bench.contender import Build, Contender, NotOfferedError
from jax_rnn.bench.problem import LOOP, Pass, Problem, Setting, flop
from jax_rnn.bench.timing import Times, interleave, timed

__all__ = ["OURS", "Entry", "Row", "race"]

OURS = "jax_rnn"
REFERENCES = ("torch", OURS)
"""Contenders by priority; the first available one is the reference for parity."""

TOLERANCES = {"float32": 1e-3, "tf32": 3e-2, "bfloat16": 1e-1, "float16": 3e-2}
"""Allowed difference relative to the largest value. Rounding is far below, a wrong order of the
gates or a missing bias far above."""


@dataclass(frozen=True)
class Entry:
    """One contender in one pass.

    Attributes:
        first_seconds: seconds of the first call, including compilation.
        median, minimum: seconds of a call.
        rounds: number of rounds.
        us_per_step: microseconds of the median per time step.
        gflops: 1e9 operations of the matrix products per second, by the median.
        ratio: its median divided by that of jax_rnn; None if jax_rnn was not timed.
    """

    first_seconds: float
    median: float
    minimum: float
    rounds: int
    us_per_step: float
    gflops: float
    ratio: float | None


@dataclass(frozen=True)
class Row:
    """One problem.

    Attributes:
        setting: the setting of the problem.
        entries: entries by pass and contender.
        parity: largest relative difference of outputs and of gradients, by contender.
        notes: how equations differ, by contender; these are timed but not checked.
        absent: why a contender was not timed (not installed or no such layer), by contender.
        refused: why a contender was not timed (results differ), by contender.
    """

    setting: Setting
    entries: dict[Pass, dict[str, Entry]] = field(default_factory=dict)
    parity: dict[str, dict[str, float]] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)


def race(
    problem: Problem,
    builders: Mapping[str, Build],
    passes: Sequence[Pass],
    *,
    seconds: float,
    least_rounds: int = 5,
) -> Row:
    """Build and check all contenders, then time every pass alternately.

    Args:
        problem: the problem of every contender.
        builders: builders by name.
        passes: the passes to time.
        seconds: approximate time for each contender and pass.
        least_rounds: minimum number of rounds.
    """
    row = Row(problem.setting)
    contenders: dict[str, Contender] = {}
    for name, build in builders.items():
        try:
            contenders[name] = build(problem)
        except NotOfferedError as reason:
            row.absent[name] = str(reason)
        except ModuleNotFoundError as error:
            row.absent[name] = f"{error.name} is not installed"
    with compiled_afresh():
        first = _check(problem, builders, contenders, row)
        for kind in passes:
            for name, contender in contenders.items():
                if (name, kind) not in first:
                    first[name, kind], _ = timed(_call(contender, kind))
    for kind in passes:
        calls = {name: _call(contender, kind) for name, contender in contenders.items()}
        found = interleave(calls, seconds=seconds, least_rounds=least_rounds)
        if kind == "loop":
            found = {name: times.divided(LOOP) for name, times in found.items()}
        work = flop(problem, kind)
        row.entries[kind] = {
            name: _entry(times, first[name, kind], work, found.get(OURS), problem.setting.T)
            for name, times in found.items()
        }
    return row


def _check(
    problem: Problem, builders: Mapping[str, Build], contenders: dict[str, Contender], row: Row
) -> dict[tuple[str, Pass], float]:
    """Run both passes of all contenders, remove those that differ, and time the first calls."""
    first: dict[tuple[str, Pass], float] = {}
    found: dict[str, _Values] = {}
    for name, contender in contenders.items():
        first[name, "forward"], output = timed(_call(contender, "forward"))
        first[name, "backward"], result = timed(_call(contender, "backward"))
        found[name] = _Values(contender.output(output), contender.gradients(result))
        if contender.note:
            row.notes[name] = contender.note
    reference = next((name for name in REFERENCES if name in contenders), next(iter(found), ""))
    tolerance = TOLERANCES[problem.setting.precision]
    for name, contender in list(contenders.items()):
        if name == reference or contender.note:
            continue
        expected = _expected(problem, builders[reference], found[reference], contender)
        differences = found[name].differences(expected, problem.lengths)
        row.parity[name] = differences
        for what, difference in differences.items():
            if not difference <= tolerance:  # also NaN differs
                row.refused[name] = (
                    f"its {what} differ from those of {reference} by {difference:.1e}, "
                    f"more than {tolerance:g}"
                )
                contenders.pop(name, None)
    return first


@dataclass(frozen=True)
class _Values:
    output: np.ndarray
    gradients: dict[str, np.ndarray]

    def differences(self, other: "_Values", lengths: np.ndarray | None) -> dict[str, float]:
        counts = np.ones(self.output.shape[:2], bool)
        if lengths is not None:
            counts = np.arange(self.output.shape[1]) < lengths[:, None]
        if self.output.shape != other.output.shape:
            return {"outputs": float("inf")}
        names = other.gradients.keys()
        gradients = [_difference(self.gradients[name], other.gradients[name]) for name in names]
        return {
            "outputs": _difference(self.output[counts], other.output[counts]),
            "gradients": float(np.max(gradients)),
        }


def _expected(problem: Problem, build: Build, values: _Values, contender: Contender) -> _Values:
    """The results of the reference with the weights of the contender."""
    weights = {name: np.asarray(w) for name, w in contender.given(problem.weights).items()}
    if all(np.array_equal(weights[name], w) for name, w in problem.weights.items()):
        return values
    reference = build(problem.with_weights(weights))
    output = reference.output(reference.run("forward"))
    taken: Any = reference.gradients(reference.run("backward"))
    _, back = jax.vjp(lambda w: dict(contender.given(w)), dict(problem.weights))
    taken = back(taken)[0]
    return _Values(output, {name: np.asarray(grad) for name, grad in taken.items()})


def _difference(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.max(np.abs(found - expected)) / max(float(np.max(np.abs(expected))), 1e-30))


def _call(contender: Contender, kind: Pass) -> Callable[[], Any]:
    return lambda: contender.run(kind)


def _entry(times: Times, first: float, work: float, ours: Times | None, steps: int) -> Entry:
    return Entry(
        first_seconds=first,
        median=times.median,
        minimum=times.minimum,
        rounds=len(times.seconds),
        us_per_step=1e6 * times.median / steps,
        gflops=work / times.median / 1e9,
        ratio=None if ours is None else times.median / ours.median,
    )
