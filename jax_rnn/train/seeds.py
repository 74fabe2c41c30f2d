"""The same training with many seeds at once, under ``vmap``."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from time import perf_counter
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from jax_rnn.base.caches import cached
from jax_rnn.base.errors import ArgumentError
from jax_rnn.base.memory import available_memory
from jax_rnn.base.meshes import in_mesh
from jax_rnn.base.progress import progress_bar
from jax_rnn.base.typing import DTypeLike, PyTree
from jax_rnn.data.batches import Batches, Repeated
from jax_rnn.train.checks import check_counts, count_steps, count_to_restart
from jax_rnn.train.feed import stacked
from jax_rnn.train.program import choose_steps_per_call, joined, scan_steps
from jax_rnn.train.results import History
from jax_rnn.train.step import Loss, Report, Training, TrainState, prepare

__all__ = ["figures_of", "fit_seeds"]

MAX_SEEDS = 1_000
"""Largest number of simultaneous trainings; more are not faster."""

SHARE = 0.5
"""Share of the memory that simultaneous trainings may take."""

SMALL = 100_000_000
"""Bytes of losses below which the memory is not checked."""


@in_mesh
def fit_seeds(
    build: Callable[[nnx.Rngs], nnx.Module],
    loss: Loss,
    data: PyTree | Callable[[int], Batches],
    *,
    seeds: Sequence[int],
    steps: int,
    optimizer: optax.GradientTransformation,
    carry: Callable[[Any], PyTree] | None = None,
    restart_carry: bool = False,
    dropout: bool = False,
    accumulate: int = 1,
    compute_dtype: DTypeLike | None = None,
    evaluate: Callable[[Any], Mapping[str, float]] | None = None,
    seeds_per_call: int | None = None,
    description: str = "sweeping",
) -> History:
    """Build and train a model per seed, for seed k as ``fit(build(nnx.Rngs(k)), ...)``.

    Args:
        build: function ``build(rngs) -> model``. Another call with the same function, loss,
            optimizer and options reuses the compiled program.
        loss, optimizer, restart_carry, accumulate, compute_dtype: as for ``fit``.
        data: pytree of arrays, for all steps and seeds; or a function ``data(seed) -> Batches``,
            all of the same shapes.
        seeds: sequence of ints from 0 to 2^32 - 1, one per training.
        steps: number of optimizer steps of each training.
        carry: function ``carry(model)`` that returns the state before the first batch, see
            ``fit``. None (default) carries nothing.
        dropout: whether the loss is called with ``rngs=``, seeded as ``fit(..., seed=k)`` does.
        evaluate: function that is called with each trained model in evaluation mode and returns
            figures, a dict of floats. None (default) does not evaluate.
        seeds_per_call: number of simultaneous trainings; None (default) is as many as half of the
            memory holds, by the compiler's estimate, and at most 1,000.
        description: text of the progress bar.

    Returns:
        The history, with a leading axis of seeds, and one evaluation per seed, ``"seed"`` and its
        figures. Losses that are not finite are not an error, so one bad seed does not end a sweep;
        if its figures overflow, its evaluation has an infinite loss alone.

    Raises:
        TypeError: batches instead of a function that returns them.
        ValueError: no seeds, fewer than one step, or more losses than fit into memory; several
            batches per step with arrays.
    """
    _check(data, len(seeds), steps, accumulate, seeds_per_call)
    first: Any = data(seeds[0]) if callable(data) else Repeated(data)
    span = None
    if callable(data):
        span = choose_steps_per_call(cached(_shapes, build), first, steps)
    restart = count_to_restart(first, carry, restart_carry)
    options = carry, dropout, accumulate, compute_dtype, restart
    sweep = cached(_Sweep, build, (loss, optimizer), steps, span, *options)
    began = perf_counter()
    most = seeds_per_call or sweep.room(data, seeds)
    size = math.ceil(len(seeds) / math.ceil(len(seeds) / most))  # equal calls
    reports, evaluations = [], []
    with progress_bar(description, len(seeds) * steps) as advance:
        advance(0, "compiling")
        sweep.compile(data, seeds[0], size)
        ready = perf_counter()
        for start in range(0, len(seeds), size):
            chunk = seeds[start : start + size]
            variables, report = sweep.train(data, chunk, size, advance)
            reports.append(report)
            if evaluate is None:
                continue
            for k, seed in enumerate(chunk):
                model = build(nnx.Rngs(seed))
                nnx.update(model, *jax.tree.map(lambda leaf, k=k: leaf[k], variables))
                model.eval()
                evaluations.append({"seed": seed, **figures_of(evaluate, model)})
    report = joined(reports, 0)
    seconds = ready - began, perf_counter() - ready
    return History(report.loss, report.metrics, *seconds, tuple(evaluations))


def figures_of(evaluate: Callable[..., Mapping[str, float]], *arguments: Any) -> dict[str, float]:
    """``evaluate(*arguments)`` as floats; an infinite loss alone if they overflow."""
    try:
        return {name: float(value) for name, value in evaluate(*arguments).items()}
    except ArithmeticError:
        return {"loss": math.inf}


def _check(data: Any, seeds: int, steps: int, accumulate: int, seeds_per_call: int | None) -> None:
    """Check the arguments. TypeError, ValueError: see ``fit_seeds``."""
    check_counts(steps=steps, accumulate=accumulate, seeds_per_call=seeds_per_call)
    if seeds == 0:
        raise ArgumentError("seeds", "expected at least one seed, got none")
    if isinstance(data, Batches):
        raise TypeError(
            f"data: expected arrays or a function of the seed, got {type(data).__name__}; for the "
            "same batches with all seeds, pass `lambda seed: batches`"
        )
    if not callable(data):
        count_steps(steps, None, Repeated(data), accumulate)
    if (needed := 4 * seeds * steps) < SMALL:
        return
    available = available_memory(jax.local_devices(backend="cpu")[0])
    if available is not None and needed > available:
        raise ArgumentError(
            "seeds",
            f"expected losses that fit into {available / 1e9:,.1f} GB of memory, got "
            f"{needed / 1e9:,.1f} GB for {seeds:,} seeds and {steps:,} steps; use fewer seeds",
        )


def _shapes(build: Callable[[nnx.Rngs], nnx.Module]) -> PyTree:
    """Shapes of the trained parameters, found without computing any."""
    return jax.eval_shape(lambda: nnx.state(build(nnx.Rngs(0)), nnx.Param))


class _Sweep:
    """The compiled trainings of many seeds; equal calls of ``fit_seeds`` share one object.

    ``span`` is the number of steps per call on batches; None makes all steps on the same arrays. If
    one call of ``advance`` makes all steps, it makes the first states too, so that only one program
    is compiled.
    """

    def __init__(self, build: Any, objective: Any, steps: int, span: int | None, *options: Any):
        self.build, self.objective, self.steps, self.span = build, objective, steps, span or steps
        self.carry, self.dropout, self.accumulate, *self.rest = options
        self.streaming = span is not None
        self.begin = jax.jit(jax.vmap(lambda seed: self._training(seed).state))
        axes = 0, 0, 0 if span else None
        self.advance = jax.jit(jax.vmap(self._advance, axes), donate_argnums=1)

    def _training(self, seed: Any) -> Training:
        model = self.build(nnx.Rngs(jax.random.key(seed)))
        carry = None if self.carry is None else self.carry(model)
        dropout_seed = seed if self.dropout else None
        loss, optimizer = self.objective
        return prepare(model, loss, optimizer, carry, dropout_seed, self.accumulate, *self.rest)

    def _advance(self, seed: Any, state: Any, arrays: Any) -> tuple[TrainState, Report]:
        training = self._training(seed)
        state = training.state if state is None else state
        return scan_steps(training.step, self.streaming, state, arrays, self.span)

    def room(self, data: Any, seeds: Sequence[int]) -> int:
        """The number of simultaneous trainings, at least one."""
        most, available = min(len(seeds), MAX_SEEDS), available_memory()
        if available is None:
            return 1 if self.streaming else most
        found = self._lower(data, seeds[0], most).compile().memory_analysis()
        if found is None:
            return 1
        sizes = found.temp_size_in_bytes, found.argument_size_in_bytes, found.output_size_in_bytes
        return max(1, int(most * min(1.0, SHARE * available / max(sum(sizes), 1))))

    def compile(self, data: Any, seed: int, count: int) -> None:
        """Compile the programs for this number of seeds, one of which is ``seed``."""
        if self.span < self.steps:
            self.begin.lower(jax.ShapeDtypeStruct((count,), jnp.uint32)).compile()
        self._lower(data, seed, count).compile()

    def _lower(self, data: Any, seed: int, count: int) -> Any:
        def of_all(leaf):
            dtype = jax.dtypes.canonicalize_dtype(leaf.dtype)
            return jax.ShapeDtypeStruct((count, *leaf.shape[1:]), dtype)

        numbers = jax.ShapeDtypeStruct((count,), jnp.uint32)
        state = jax.eval_shape(self.begin, numbers) if self.span < self.steps else None
        arrays = next(self._arrays(data, [seed]))
        arrays = jax.tree.map(of_all, arrays) if self.streaming else arrays
        return self.advance.lower(numbers, state, arrays)

    def train(
        self, data: Any, seeds: Sequence[int], size: int, advance: Callable[[int], None]
    ) -> tuple[Any, Report]:
        """The variables after the last step, and the reports with axes (seeds, steps)."""
        padded = np.resize(seeds, size).tolist()  # one shape, one compilation
        numbers = jnp.asarray(padded, jnp.uint32)
        state: Any = self.begin(numbers) if self.span < self.steps else None
        reports = []
        for arrays in self._arrays(data, padded):
            state, report = self.advance(numbers, state, arrays)
            reports.append(jax.tree.map(lambda leaf: np.asarray(leaf)[: len(seeds)], report))
            advance(self.span * len(seeds))
        return (state.params, state.model_state), joined(reports, 1)

    def _arrays(self, data: Any, seeds: Sequence[int]) -> Iterator[Any]:
        """The data of each call: batches (seeds, span, [accumulate,] B, ...), or the arrays."""
        if not callable(data):
            yield data
            return
        batches: list[Any] = [data(seed) for seed in seeds]
        for start in range(0, self.steps, self.span):
            steps = range(start, start + self.span)
            each = (stacked(of_seed, steps, self.accumulate) for of_seed in batches)
            yield jax.tree.map(lambda *leaves: np.stack(leaves), *each)
