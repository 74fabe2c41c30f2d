"""The same training from many seeds at once: one compiled program under ``vmap``."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from math import ceil
from time import perf_counter
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from jax_rnn.train.history import History
from jax_rnn.train.program import scan_steps
from jax_rnn.train.progress import progress_bar
from jax_rnn.train.step import KEPT, Loss, prepare
from jax_rnn.typing import PyTree

__all__ = ["fit_seeds"]


def fit_seeds(
    build: Callable[[nnx.Rngs], nnx.Module],
    loss: Loss,
    batch: PyTree,
    *,
    seeds: Sequence[int],
    steps: int,
    optimizer: optax.GradientTransformation,
    seeds_per_call: int = 1000,
    description: str = "sweeping",
) -> History:
    """Build and train a model from every seed, seed k as ``fit(build(nnx.Rngs(k)), ...)`` does.

    Args:
        build: makes the model from its random numbers. The same function again, with the same loss,
            optimizer and steps, finds its compiled program.
        loss, batch, steps, optimizer: as for ``fit``, the same for all seeds.
        seeds: one run each.
        seeds_per_call: runs in one call of the compiled program; bounds the memory.
        description: what the progress bar says.

    Returns:
        The history, with a leading axis of seeds. Losses that are not finite stand as they are:
        one bad seed does not end a sweep.

    Raises:
        ValueError: no seeds, fewer than one step.
    """
    if len(seeds) == 0 or steps < 1 or seeds_per_call < 1:
        raise ValueError(
            "expected at least one seed, one step and one seed per call, "
            f"got {len(seeds)}, {steps} and {seeds_per_call}"
        )

    run = _program(build, loss, optimizer, steps)
    size = ceil(len(seeds) / ceil(len(seeds) / seeds_per_call))
    began = perf_counter()
    run.lower(jnp.zeros(size, jnp.int32), batch).compile()
    ready = perf_counter()
    parts = []
    with progress_bar(description, len(seeds)) as advance:
        for start in range(0, len(seeds), size):
            chunk = np.asarray(seeds[start : start + size])
            padded = np.resize(chunk, size)  # one shape, one compilation
            parts.append(jax.tree.map(np.asarray, run(jnp.asarray(padded, jnp.int32), batch)))
            advance(len(chunk))
    report = jax.tree.map(lambda *leaves: np.concatenate(leaves)[: len(seeds)], *parts)
    return History(report.loss, report.metrics, ready - began, perf_counter() - ready)


@lru_cache(maxsize=KEPT)
def _program(
    build: Callable[[nnx.Rngs], nnx.Module],
    loss: Loss,
    optimizer: optax.GradientTransformation,
    steps: int,
) -> Any:
    """All that one seed does, for many of them; the same again if asked for the same."""

    def one(seed, batch):
        training = prepare(build(nnx.Rngs(jax.random.key(seed))), loss, optimizer)
        return scan_steps(training.step, training.state, batch, steps)[1]

    return jax.jit(jax.vmap(one, in_axes=(0, None)))
