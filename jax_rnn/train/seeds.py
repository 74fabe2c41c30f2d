"""The same training with many seeds as one compiled program under ``vmap``."""

from collections.abc import Callable, Sequence
from math import ceil
from time import perf_counter
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from jax_rnn.train.batches import Repeated
from jax_rnn.train.cache import cached
from jax_rnn.train.history import History
from jax_rnn.train.memory import available_memory
from jax_rnn.train.program import BUSY_CALL_OPERATIONS, scan_steps, training_operations
from jax_rnn.train.progress import progress_bar
from jax_rnn.train.step import Loss, prepare
from jax_rnn.typing import PyTree

__all__ = ["choose_seeds_per_call", "fit_seeds"]

FEWEST_SEEDS, MOST_SEEDS = 1_000, 10_000
"""Bounds of the seeds per call: XLA on CPU parallelizes only large operations."""

MOST_PARAMETERS = 2**24
"""Maximum memory of all models in a call with more than the minimum: 64 MiB, and per moment."""


def fit_seeds(
    build: Callable[[nnx.Rngs], nnx.Module],
    loss: Loss,
    batch: PyTree,
    *,
    seeds: Sequence[int],
    steps: int,
    optimizer: optax.GradientTransformation,
    seeds_per_call: int | None = None,
    description: str = "sweeping",
) -> History:
    """Build and train a model per seed, for seed k as ``fit(build(nnx.Rngs(k)), ...)``.

    Args:
        build: function ``build(rngs) -> model``. Another call with the same function, loss,
            optimizer and steps reuses the compiled program.
        loss: as for ``fit``.
        batch: pytree of arrays, the same at every step and for all seeds.
        seeds: sequence of ints, one per training.
        steps: number of optimizer steps of each training.
        optimizer: any ``optax.GradientTransformation``.
        seeds_per_call: number of trainings in one call of the compiled program; bounds the memory.
            None (default) uses 1,000, and up to 10,000 for a small model whose training takes less
            than a millisecond.
        description: text of the progress bar.

    Returns:
        The history, with a leading axis of seeds. Losses that are not finite are not an error, so
        one bad seed does not end a sweep.

    Raises:
        ValueError: no seeds, fewer than one step, or more losses than fit into memory.
    """
    if len(seeds) == 0 or steps < 1 or (seeds_per_call is not None and seeds_per_call < 1):
        raise ValueError(
            "expected at least one seed, one step and one seed per call, "
            f"got {len(seeds)}, {steps} and {seeds_per_call}"
        )
    _check_room(len(seeds), steps)
    if seeds_per_call is None:
        seeds_per_call = choose_seeds_per_call(cached(_parameters, build), batch, steps)
    run = cached(_program, build, loss, optimizer, steps)
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


def _check_room(seeds: int, steps: int) -> None:
    """Check that the losses of all seeds and steps fit into memory. ValueError otherwise."""
    needed, available = 4 * seeds * steps, available_memory(jax.local_devices(backend="cpu")[0])
    if available is not None and needed > available:
        raise ValueError(
            f"seeds: expected losses that fit into {available / 1e9:,.1f} GB of memory, got "
            f"{needed / 1e9:,.1f} GB for {seeds:,} seeds of {steps:,} steps; choose fewer seeds"
        )


def choose_seeds_per_call(parameters: int, batch: PyTree, steps: int) -> int:
    """The number of seeds for which a call takes about a second on a laptop and little memory."""
    operations = max(training_operations(parameters, Repeated(batch)) * steps, 1)
    most = min(BUSY_CALL_OPERATIONS // operations, MOST_PARAMETERS // max(parameters, 1))
    return max(FEWEST_SEEDS, min(MOST_SEEDS, int(most)))


def _parameters(build: Callable[[nnx.Rngs], nnx.Module]) -> int:
    """Number of trained parameters, found without computing any."""
    params = jax.eval_shape(lambda: nnx.state(build(nnx.Rngs(0)), nnx.Param))
    return sum(leaf.size for leaf in jax.tree.leaves(params))


def _program(
    build: Callable[[nnx.Rngs], nnx.Module],
    loss: Loss,
    optimizer: optax.GradientTransformation,
    steps: int,
) -> Any:
    """The training of one seed, mapped over many seeds."""

    def one(seed, batch):
        training = prepare(build(nnx.Rngs(jax.random.key(seed))), loss, optimizer)
        return scan_steps(training.step, training.state, batch, steps)[1]

    return jax.jit(jax.vmap(one, in_axes=(0, None)))
