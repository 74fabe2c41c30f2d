"""The lecture's program in both frameworks: warm, as a whole process, with many seeds."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

from flax import nnx

from jax_rnn.bench.timing import timed
from jax_rnn.lecture.compare.frameworks import torch_on_one_thread
from jax_rnn.lecture.compare.sweep import sweep_jax, sweep_torch
from jax_rnn.lecture.lessons import load

__all__ = ["lecture"]

WARM_GOAL, COLD_GOAL, SWEEP_GOAL = 100, 1, 1000
"""Goals for torch's time divided by jax_rnn's."""


def lecture(*, rounds: int, processes: int, seeds: int = 10_000) -> Iterator[dict[str, Any]]:
    """Rows ``{"what", "jax", "torch", "ratio", "goal"}``, seconds; medians of alternating runs."""
    yield from warm(rounds)
    yield from many_seeds(seeds, rounds=min(rounds, 3))
    if processes:
        yield from cold(processes)


def warm(rounds: int) -> Iterator[dict[str, Any]]:
    """100 epochs after compilation and loading; torch with one thread, its fastest setting.

    As in the race, each measurement follows a warm-up call.
    """
    import reference_torch
    from reference_torch.teaching.training import train

    lesson, theirs = load("ihello"), reference_torch.load("ihello")
    model = lesson.build(rngs=nnx.Rngs(0))
    module = theirs.model()
    program, whole, torch = [], [], []
    with torch_on_one_thread():
        for _ in range(rounds):
            lesson.fit(model)
            seconds, history = timed(lambda: lesson.fit(model))
            whole.append(seconds)
            program.append(history.run_seconds)
            for _ in train(theirs, module):
                pass
            torch.append(timed(lambda: sum(1 for _ in train(theirs, module)))[0])
    yield _row("ihello, 100 epochs warm", program, torch, WARM_GOAL)
    yield _row("ihello, 100 epochs, all of a later call of fit", whole, torch, 1)


def many_seeds(seeds: int, rounds: int, torch_seeds: int = 50) -> Iterator[dict[str, Any]]:
    """Seconds per seed, for the first call including compilation and for later calls."""
    lesson = load("ihello")
    jax, torch = [], []
    for _ in range(rounds + 1):
        jax.append(sweep_jax(lesson, seeds).seconds / seeds)
        torch.append(sweep_torch(lesson, torch_seeds).seconds / torch_seeds)
    yield _row(f"ihello, {seeds:,} seeds, a seed, a later call", jax[1:], torch, SWEEP_GOAL)
    yield _row(f"ihello, {seeds:,} seeds, a seed, the first call", jax[:1], torch, SWEEP_GOAL)


def cold(rounds: int) -> Iterator[dict[str, Any]]:
    """Whole processes: with an empty compilation cache, with a filled one, and torch's."""
    ours = (sys.executable, "-m", "jax_rnn", "train", "ihello")
    theirs = (sys.executable, "-m", "reference_torch", "ihello")
    first, later, torch = [], [], []
    _process(theirs)  # fills the file cache
    with tempfile.TemporaryDirectory() as kept:
        _process(ours, cache=kept)
        for _ in range(rounds):
            with tempfile.TemporaryDirectory() as empty:
                first.append(_process(ours, cache=empty))
            torch.append(_process(theirs))
            later.append(_process(ours, cache=kept))
    yield _row("ihello, whole process, the first ever", first, torch, COLD_GOAL)
    yield _row("ihello, whole process, any later", later, torch, COLD_GOAL)


def _process(command: tuple[str, ...], cache: str | None = None) -> float:
    """Run a process that must succeed and return its seconds."""
    environment = dict(os.environ)
    if cache:
        environment["JAX_COMPILATION_CACHE_DIR"] = cache
        environment.pop("JAX_ENABLE_COMPILATION_CACHE", None)
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
    return time.perf_counter() - start


def _row(what: str, jax: list[float], torch: list[float], goal: float) -> dict[str, Any]:
    ours, theirs = statistics.median(jax), statistics.median(torch)
    return {"what": what, "jax": ours, "torch": theirs, "ratio": theirs / ours, "goal": goal}
