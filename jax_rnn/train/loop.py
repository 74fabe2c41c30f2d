"""The training loop: one compiled program, in which Python sees only progress and metrics."""

from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax import lax

from jax_rnn.train.progress import progress_bar
from jax_rnn.typing import Array, Float, PyTree

__all__ = ["History", "Loss", "NonFiniteLossError", "TrainState", "Training", "fit", "prepare"]

Loss = Callable[[Any, Any], tuple[Float[Array, ""], PyTree]]
"""``loss(model, batch) -> (loss, metrics)``, the metrics any pytree of arrays."""

ONE_CALL_OPERATIONS = 1e9
"""Up to about two seconds of work run as one call; longer runs report progress in between."""


class History(NamedTuple):
    """What every step reported, as NumPy arrays; entry k is of the parameters before step k + 1.

    Attributes:
        loss: (steps,), or (seeds, steps).
        metrics: the pytree that the loss function returned, with the same leading axes.
        compile_seconds, run_seconds: how long the compiler and the program took.
    """

    loss: np.ndarray
    metrics: Any
    compile_seconds: float
    run_seconds: float


class NonFiniteLossError(FloatingPointError):
    """A loss was NaN or infinite. ``step`` counts from 1; ``history`` ends with that step."""

    def __init__(self, step: int, loss: float, history: History):
        super().__init__(
            f"the loss at step {step} is {loss}: training stopped there and the model keeps the "
            "weights it came with. A smaller learning rate, gradient clipping "
            "(optax.clip_by_global_norm) or a look at the inputs for NaN are what usually helps."
        )
        self.step = step
        self.loss = loss
        self.history = history


class TrainState(NamedTuple):
    """Everything that an optimizer step changes."""

    params: Any
    opt_state: optax.OptState


class Report(NamedTuple):
    """What one step tells."""

    loss: Any
    metrics: Any


class Training(NamedTuple):
    """A model taken apart for training: pure functions, and the state that they start from."""

    state: TrainState
    step: Callable[[TrainState, Any], tuple[TrainState, Report]]


def prepare(model: nnx.Module, loss: Loss, optimizer: optax.GradientTransformation) -> Training:
    """Split ``model`` once; return its state and the pure optimizer step.

    ``step(state, batch) -> (state, report)``, loss and metrics of the report being those of the
    parameters before the step.
    """
    graphdef, params, rest = nnx.split(model, nnx.Param, ...)

    def evaluate(params, batch):
        return loss(nnx.merge(graphdef, params, rest), batch)

    def step(state: TrainState, batch: Any) -> tuple[TrainState, Report]:
        (value, metrics), gradients = jax.value_and_grad(evaluate, has_aux=True)(
            state.params, batch
        )
        updates, opt_state = optimizer.update(gradients, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        return TrainState(params, opt_state), Report(value, metrics)

    return Training(TrainState(params, optimizer.init(params)), step)


def scan_steps(step: Callable, state: TrainState, batch: Any, steps: int) -> tuple[TrainState, Any]:
    """``steps`` optimizer steps on the same batch, and what each of them reported."""
    return lax.scan(lambda state, _: step(state, batch), state, length=steps)


def fit(
    model: nnx.Module,
    loss: Loss,
    batch: PyTree,
    *,
    steps: int,
    optimizer: optax.GradientTransformation,
    steps_per_call: int | None = None,
    description: str = "training",
) -> History:
    """Train ``model`` in place and return what every step reported.

    Args:
        model: any NNX module; its ``nnx.Param`` are trained.
        loss: ``loss(model, batch) -> (loss, metrics)``, pure.
        batch: the arrays of every step (full-batch training).
        steps: optimizer steps.
        optimizer: any optax transformation.
        steps_per_call: steps in one call of the compiled program. None takes all of them, unless
            parameters x elements x steps promise more than about two seconds; then twenty calls,
            with a progress bar on a terminal.
        description: what the progress bar says.

    Raises:
        NonFiniteLossError: names the step; the model keeps the weights it came with.
        ValueError: fewer than one step.
    """
    if isinstance(steps, bool) or not isinstance(steps, int):
        raise TypeError(f"steps: expected an int, got {steps!r}")
    if steps < 1:
        raise ValueError(f"steps: expected at least 1, got {steps}")
    if steps_per_call is not None and steps_per_call < 1:
        raise ValueError(f"steps_per_call: expected at least 1, or None, got {steps_per_call}")
    training = prepare(model, loss, optimizer)
    state = jax.tree.map(jnp.copy, training.state)  # donated below; the model keeps its own
    run = _Compiled(training.step)

    size = steps_per_call or _steps_per_call(training.state.params, batch, steps)
    parts = []
    with progress_bar(description, steps) as advance:
        for done in range(0, steps, size):
            count = min(size, steps - done)
            state, report = run(state, batch, count)
            parts.append(report)
            _check_finite(parts, done, run)
            advance(count, f"loss {report.loss[-1]:.4g}")
    nnx.update(model, state.params)
    return run.history(parts)


class _Compiled:
    """``scan_steps``, compiled once for every number of steps asked for, with a clock."""

    def __init__(self, step: Callable):
        self.run = jax.jit(partial(scan_steps, step), static_argnums=2, donate_argnums=0)
        self.programs: dict[int, Any] = {}
        self.compile_seconds = self.run_seconds = 0.0

    def __call__(self, state: TrainState, batch: Any, steps: int) -> tuple[TrainState, Report]:
        start = perf_counter()
        if steps not in self.programs:
            self.programs[steps] = self.run.lower(state, batch, steps).compile()
        compiled = perf_counter()
        state, report = self.programs[steps](state, batch)
        report = jax.tree.map(np.asarray, report)
        self.compile_seconds += compiled - start
        self.run_seconds += perf_counter() - compiled
        return state, report

    def history(self, parts: list[Report]) -> History:
        report = jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)
        return History(report.loss, report.metrics, self.compile_seconds, self.run_seconds)


def _steps_per_call(params: PyTree, batch: PyTree, steps: int) -> int:
    """Six operations a parameter and element: two forward, four backward."""
    elements = max((leaf.size for leaf in jax.tree.leaves(batch)), default=1)
    parameters = sum(leaf.size for leaf in jax.tree.leaves(params))
    return steps if 6 * parameters * elements * steps < ONE_CALL_OPERATIONS else -(-steps // 20)


def _check_finite(parts: list[Report], done: int, run: _Compiled) -> None:
    """Stop at the first loss that is not finite; ``done`` steps came before the last part."""
    bad = np.flatnonzero(~np.isfinite(parts[-1].loss))
    if bad.size:
        loss, count = parts[-1].loss[bad[0]], int(bad[0]) + 1
        parts[-1] = jax.tree.map(lambda leaf: leaf[:count], parts[-1])
        raise NonFiniteLossError(done + count, float(loss), run.history(parts))
