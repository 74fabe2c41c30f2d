"""Many optimizer steps as one compiled program, and the steps at which its calls end."""

from collections.abc import Callable, Sequence
from functools import partial
from time import perf_counter
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import lax

from jax_rnn.base.caches import cached
from jax_rnn.base.compiler import Options
from jax_rnn.base.typing import PyTree
from jax_rnn.data.batches import Batches, Repeated
from jax_rnn.train.mesh import Layout
from jax_rnn.train.step import Report, Training, TrainState

__all__ = ["Program", "Schedule", "Span", "choose_steps_per_call", "joined", "scan_steps"]

ONE_CALL_OPERATIONS = 1e9
"""Work of up to about two seconds is one call; longer runs report progress between calls."""

BUSY_CALL_OPERATIONS = 3e10
"""With a new batch per step: about a second on a laptop, much less on an accelerator."""

MAX_STEPS_PER_CALL = 100


def scan_steps(
    step: Callable, streaming: bool, state: TrainState, arrays: Any, steps: int
) -> tuple[TrainState, Report]:
    """``steps`` optimizer steps, each on its own batch if ``streaming``, and their reports."""
    if streaming:
        return lax.scan(step, state, arrays, steps)
    return lax.scan(lambda state, _: step(state, arrays), state, length=steps)


def _jitted(
    step: Callable, streaming: bool, layout: Layout, structure: Any, options: tuple[Any, ...]
) -> Any:
    """The program for states of this tree structure."""
    state = jax.tree.unflatten(structure, range(structure.num_leaves))
    shardings = layout.shardings(state), layout.replicated
    scan = partial(scan_steps, step, streaming)
    return jax.jit(
        scan,
        static_argnums=2,
        donate_argnums=0,
        out_shardings=shardings,
        compiler_options=dict(options),
    )


class Program:
    """The scan over steps, compiled once per number of steps, and timed."""

    def __init__(self, training: Training, layout: Layout, streaming: bool, options: Options):
        structure = jax.tree.structure(training.state)
        named = tuple(options.items())
        self.run = cached(_jitted, training.step, streaming, layout, structure, named)
        self.compiled: set[int] = set()
        self.compile_seconds = self.run_seconds = self.last_seconds = self._called = 0.0

    def __call__(self, state: TrainState, arrays: Any, steps: int) -> tuple[TrainState, Report]:
        start = perf_counter()
        if steps not in self.compiled:
            self.run.lower(state, arrays, steps).compile()  # cached, also for the next fit
            self.compiled.add(steps)
        self._called = perf_counter()
        self.compile_seconds += self._called - start
        return self.run(state, arrays, steps)

    def read(self, pending: Report) -> Report:
        """Wait for the last call; return its report as NumPy arrays.

        It ends with the first loss that is not finite.
        """
        report = jax.tree.map(np.asarray, pending)
        self.last_seconds = perf_counter() - self._called
        self.run_seconds += self.last_seconds
        bad = np.flatnonzero(~np.isfinite(report.loss))
        return jax.tree.map(lambda leaf: leaf[: bad[0] + 1], report) if bad.size else report


def joined(reports: Sequence[Report], axis: int = 0) -> Report:
    """Several reports as one, with no steps if there are none."""
    parts = reports or [Report(np.zeros(0), {})]
    return jax.tree.map(lambda *leaves: np.concatenate(leaves, axis), *parts)


Span = range
"""Steps of one call of the compiled program, counted from 0."""


class Schedule(NamedTuple):
    """What happens after which step; a call of the program ends before anything happens."""

    steps: int
    steps_per_call: int
    evaluate_every: int
    save_every: int

    def spans(self, start: int) -> list[Span]:
        """The steps of all calls after step ``start``, split at every multiple of each number.

        The splits depend only on the step, so a resumed run makes the calls of an uninterrupted
        one.
        """
        found = []
        while start < self.steps:
            end = min(self.steps, *(start - start % size + size for size in self[1:]))
            found.append(range(start, end))
            start = end
        return found

    def evaluates(self, done: int) -> bool:
        """Whether to evaluate after step ``done``: at the end too."""
        return done % self.evaluate_every == 0 or done == self.steps

    def saves(self, done: int) -> bool:
        """Whether to save after step ``done``, even if training goes on."""
        return done % self.save_every == 0


def choose_steps_per_call(
    params: PyTree, batches: Batches, steps: int, evaluate_every: int | None = None
) -> int:
    """A number of steps that takes long against a call, and short for a user who waits.

    With batches, it divides ``evaluate_every`` or ``steps``.
    """
    parameters = sum(leaf.size for leaf in jax.tree.leaves(params))
    operations = 6 * parameters * max(batches.tokens, 1)  # two forward, four backward
    if isinstance(batches, Repeated):
        return steps if operations * steps < ONE_CALL_OPERATIONS else -(-steps // 20)
    most = max(1, min(MAX_STEPS_PER_CALL, int(BUSY_CALL_OPERATIONS // max(operations, 1))))
    span = evaluate_every or steps
    return next(size for size in range(min(most, span), 0, -1) if span % size == 0)
