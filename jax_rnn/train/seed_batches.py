"""The training of many seeds on a data set: every seed has its own weights, batches and dropout."""

import math
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax import lax

from jax_rnn.train.batches import Batches
from jax_rnn.train.feed import stacked
from jax_rnn.train.history import History
from jax_rnn.train.memory import available_memory
from jax_rnn.train.program import choose_steps_per_call
from jax_rnn.train.progress import progress_bar
from jax_rnn.train.step import Loss, prepare
from jax_rnn.typing import DTypeLike

__all__ = ["SeedPlan", "figures_of", "fit_seed_batches"]

SHARE = 0.5
"""Share of the memory that the simultaneous trainings may take."""


class SeedPlan(NamedTuple):
    """What the trainings of all seeds have in common; the arguments of ``fit`` by the same names.

    ``build(rngs)`` builds the model, ``carry(model)`` the state before the first batch, or None,
    and ``dropout`` says whether the loss takes ``rngs``.
    """

    build: Callable[[nnx.Rngs], nnx.Module]
    loss: Loss
    optimizer: optax.GradientTransformation
    carry: Callable[[Any], Any]
    dropout: bool = False
    accumulate: int = 1
    compute_dtype: DTypeLike | None = None


def fit_seed_batches(
    plan: SeedPlan,
    batches: Callable[[int], Batches],
    *,
    seeds: Sequence[int],
    steps: int,
    evaluate: Callable[[nnx.Module], Mapping[str, float]],
    seeds_per_call: int | None = None,
    description: str = "sweeping",
) -> History:
    """Train a model per seed, under ``vmap`` as many at once as fit into memory.

    Seed k is trained as ``fit(build(nnx.Rngs(k)), ..., batches(k), seed=k)``, up to rounding.

    Args:
        plan: model, loss and optimizer.
        batches: seed -> its batches, all of the same shapes.
        seeds: sequence of ints, one per training.
        steps: number of optimizer steps of each training.
        evaluate: ``evaluate(model) -> {"loss": ..., ...}``, called with each trained model; where
            it overflows, since a training has diverged, the loss is infinite.
        seeds_per_call: number of simultaneous trainings. None (default) uses as many as half of the
            memory holds, by the compiler's estimate for one.
        description: text of the progress bar.

    Returns:
        The history with a leading axis of seeds, and an evaluation per seed.

    Raises:
        ValueError: no seeds, or fewer than one step.
    """
    if len(seeds) == 0 or steps < 1 or (seeds_per_call is not None and seeds_per_call < 1):
        raise ValueError(
            "expected at least one seed, one step and one seed per call, "
            f"got {len(seeds)}, {steps} and {seeds_per_call}"
        )
    program = _Program(plan)
    span = choose_steps_per_call(program.params, batches(seeds[0]), steps, True, None)
    began = perf_counter()
    size = min(len(seeds), seeds_per_call or program.room(batches(seeds[0]), span))
    size = -(-len(seeds) // -(-len(seeds) // size))  # equal calls
    compiling, losses, evaluations = perf_counter() - began, [], []
    with progress_bar(description, steps * len(seeds)) as advance:
        for start in range(0, len(seeds), size):
            chunk = list(seeds[start : start + size])
            padded = [chunk[k % len(chunk)] for k in range(size)]  # one shape, one compilation
            count = len(chunk)
            state, loss = program.train(
                [batches(seed) for seed in padded],
                padded,
                steps,
                span,
                lambda done, count=count: advance(done * count),
            )
            losses.append(loss[:count])
            for k, seed in enumerate(chunk):
                model = program.rebuild(jax.tree.map(lambda leaf, k=k: leaf[k], state.params))
                evaluations.append({"seed": seed, **figures_of(lambda m=model: evaluate(m))})
    return History(
        np.concatenate(losses),
        {},
        compiling,
        perf_counter() - began - compiling,
        tuple(evaluations),
    )


def figures_of(evaluate: Callable[[], Mapping[str, float]]) -> dict[str, float]:
    """The figures of one seed; an infinite loss alone if they overflow."""
    try:
        return {name: float(value) for name, value in evaluate().items()}
    except ArithmeticError:
        return {"loss": math.inf}


class _Program:
    """The training of a plan, mapped over seeds."""

    def __init__(self, plan: SeedPlan):
        self.plan = plan
        self.params = nnx.eval_shape(lambda: nnx.state(plan.build(nnx.Rngs(0)), nnx.Param))
        self.begin = jax.jit(jax.vmap(lambda seed: self._training(seed).state))
        self.advance = jax.jit(jax.vmap(self._advance), donate_argnums=1)

    def _training(self, seed: Any) -> Any:
        plan = self.plan
        model = plan.build(nnx.Rngs(jax.random.key(seed)))
        return prepare(
            model,
            plan.loss,
            plan.optimizer,
            carry=plan.carry(model),
            seed=seed if plan.dropout else None,
            accumulate=plan.accumulate,
            compute_dtype=plan.compute_dtype,
        )

    def _advance(self, seed: Any, state: Any, batches: Any) -> Any:
        state, report = lax.scan(self._training(seed).step, state, batches)
        return state, report.loss

    def rebuild(self, params: Any) -> nnx.Module:
        """The model with these parameters, in evaluation mode."""
        model = self.plan.build(nnx.Rngs(0))
        nnx.update(model, params)
        model.eval()
        return model

    def room(self, batches: Batches, span: int) -> int:
        """The number of trainings that fit into memory at once, at least one."""
        available = available_memory()
        if available is None:
            return 1
        seeds = jnp.zeros(1, jnp.uint32)
        state = jax.eval_shape(self.begin, seeds)
        arrays = self._stacked([batches], 0, span)
        found = self.advance.lower(seeds, state, arrays).compile().memory_analysis()
        if found is None:
            return 1
        each = found.temp_size_in_bytes + found.argument_size_in_bytes + found.output_size_in_bytes
        return max(1, int(SHARE * available // max(each, 1)))

    def train(
        self,
        batches: Sequence[Batches],
        seeds: Sequence[int],
        steps: int,
        span: int,
        advance: Callable[[int], None],
    ) -> tuple[Any, np.ndarray]:
        """The states after the last step, and the losses (seeds, steps)."""
        numbers = jnp.asarray(seeds, jnp.uint32)
        state, losses = self.begin(numbers), []
        for start in range(0, steps, span):
            state, loss = self.advance(numbers, state, self._stacked(batches, start, span))
            losses.append(np.asarray(loss))
            advance(span)
        return state, np.concatenate(losses, axis=1)

    def _stacked(self, batches: Sequence[Batches], start: int, count: int) -> Any:
        """Arrays (seeds, steps, [accumulate,] B, ...) of the batches of some steps."""
        span = range(start, start + count)
        each = (stacked(of_seed, span, self.plan.accumulate) for of_seed in batches)
        return jax.tree.map(lambda *leaves: np.stack(leaves), *each)
