"""The training loop: compiled calls of many steps, in which Python sees progress and metrics."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from time import perf_counter
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax.sharding import Mesh

from jax_rnn.train.batches import Batches, Repeated
from jax_rnn.train.evaluations import Evaluations
from jax_rnn.train.feed import Span, feed, spans
from jax_rnn.train.history import History, InterruptedRunError, NonFiniteLossError
from jax_rnn.train.interrupt import Interrupt
from jax_rnn.train.mesh import Layout, any_process, from_main, main_does
from jax_rnn.train.program import Program, choose_steps_per_call
from jax_rnn.train.progress import progress_bar
from jax_rnn.train.run import Run
from jax_rnn.train.step import Loss, Report, TrainState, prepare
from jax_rnn.typing import DTypeLike, PyTree

__all__ = ["fit"]


def fit(
    model: nnx.Module,
    loss: Loss,
    data: Batches | PyTree,
    *,
    steps: int,
    optimizer: optax.GradientTransformation,
    carry: PyTree = None,
    seed: int | None = None,
    accumulate: int = 1,
    compute_dtype: DTypeLike | None = None,
    mesh: Mesh | None = None,
    evaluate: Callable[[Any], Mapping[str, float]] | None = None,
    evaluate_every: int | None = None,
    patience: int | None = None,
    run: Run | None = None,
    checkpoint_every: int | None = None,
    steps_per_call: int | None = None,
    on_record: Callable[[dict[str, Any]], None] = lambda record: None,
    description: str = "training",
) -> History:
    """Train ``model`` in place and return what every step reported.

    As under ``jax.jit``, the program stays: the next call with the same kind of model, an equal
    loss and the same optimizer object does not compile it again.

    Args:
        model: any NNX module; its ``nnx.Param`` are trained.
        loss: ``loss(model, batch) -> (loss, metrics)``, pure, metrics any pytree of arrays. With
            ``carry`` it is called with ``carry=`` and returns ``(loss, metrics, carry)``; with
            ``seed`` it is given ``rngs=``.
        data: the arrays of every step (full-batch training), or ``Batches``.
        steps: optimizer steps, those before a resumption included.
        optimizer: any optax transformation; schedules and clipping are parts of it.
        carry: state handed from each batch to the next, cut off from the gradient: a hidden state,
            for truncated backpropagation through time. Batch on axis 1, as (L, B, H).
        seed: of ``rngs``, new at every step, for dropout.
        accumulate: batches a step whose mean gradient it takes; metrics are averaged too.
        compute_dtype: e.g. ``jnp.bfloat16``: the model sees its parameters, and the carry is kept,
            in that dtype, while the optimizer's copy stays as it is.
        mesh: devices to spread every batch over, see ``jax_rnn.train.make_mesh``. Parameters are
            on all of them; gradients are summed over them.
        evaluate: called with the model in evaluation mode; returns figures of which ``"loss"`` is
            what ``patience`` and the best checkpoint go by.
        evaluate_every: steps between two evaluations; None is only at the end.
        patience: evaluations without a better loss after which training stops.
        run: an open run folder. Training goes on from its last whole checkpoint, bit for bit as if
            it had never stopped, and saves there what it does. Ctrl-C then saves and stops.
        checkpoint_every: steps between two checkpoints; None is ``evaluate_every``. There is always
            one at the end.
        steps_per_call: steps in one call of the compiled program; None chooses a number that keeps
            Python out of the way and yet lets it report progress.
        on_record: is given what is recorded, ``{"step", "loss", "tokens_per_second", ...}``.
        description: what the progress bar says.

    Raises:
        NonFiniteLossError: names the step; the model keeps the weights it came with, and the run
            its last good checkpoint.
        InterruptedRunError: somebody asked the run to stop; all is saved.
        CheckpointError: a checkpoint could not be written.
        TypeError, ValueError: numbers below 1; a batch that does not divide over the mesh.
    """
    _check_counts(
        steps=steps,
        accumulate=accumulate,
        steps_per_call=steps_per_call,
        evaluate_every=evaluate_every,
        checkpoint_every=checkpoint_every,
        patience=patience,
    )
    if accumulate > 1 and not isinstance(data, Batches):
        raise ValueError("accumulate: expected Batches to take several from, got the same arrays")
    streaming = isinstance(data, Batches)
    batches = data if isinstance(data, Batches) else Repeated(data)
    layout = Layout(mesh)
    layout.check(batches.size)
    training = prepare(
        model,
        loss,
        optimizer,
        carry=carry,
        seed=seed,
        accumulate=accumulate,
        compute_dtype=compute_dtype,
    )
    program = Program(training, layout, streaming)
    state = layout.state(training.state)
    evaluations = Evaluations(patience)
    start = 0
    if run is not None:
        start, state = _restore(run, state, evaluations)
    if start > steps:
        raise ValueError(f"steps: expected at least the {start} that the run has done, got {steps}")
    size = steps_per_call or choose_steps_per_call(
        training.state.params, batches, steps, streaming, evaluate_every
    )
    looks = evaluate_every or steps
    saves = steps if run is None else checkpoint_every or looks
    calls = [] if evaluations.exhausted else list(spans(start, steps, (size, looks, saves)))
    source = _arrays(data, batches, layout, calls, accumulate)

    parts: list[Report] = []
    interrupt = Interrupt()
    began = perf_counter()

    def history() -> History:
        loss, metrics = _concatenate(parts)
        seconds = program.compile_seconds, program.run_seconds
        return History(loss, metrics, *seconds, tuple(evaluations.rows))

    def fail(step: int, value: float) -> NonFiniteLossError:
        stays = "" if run is None else f", the last good checkpoint stays in {run.folder}"
        kept = f"the model keeps the weights it came with{stays}"
        return NonFiniteLossError(step, value, history(), kept)

    with progress_bar(description, steps) as advance, nullcontext() if run is None else interrupt:
        if start:
            advance(start)
        upcoming = next(source, None)
        while upcoming is not None:
            span, arrays = upcoming
            state, report = program(state, arrays, len(span))
            upcoming = next(source, None)  # on its way while the device computes
            parts.append(program.read(report))
            done, losses = span.stop, parts[-1].loss
            bad = np.flatnonzero(~np.isfinite(losses))
            if bad.size:
                parts[-1] = jax.tree.map(lambda leaf, n=bad[0] + 1: leaf[:n], parts[-1])
                raise fail(span.start + int(bad[0]) + 1, float(losses[bad[0]]))
            speed = batches.tokens * accumulate * len(span) / program.last_seconds
            record: dict[str, Any] = {
                "step": done,
                "loss": float(losses.mean()),
                "tokens_per_second": round(speed, 1),
                "seconds": round(perf_counter() - began, 3),
            }
            if evaluate is not None and (done % looks == 0 or done == steps):
                figures = evaluate(training.rebuild(layout.local(state.params)))
                figures = from_main({name: float(value) for name, value in figures.items()})
                record |= evaluations.add(done, figures)
            finished = done == steps or evaluations.exhausted
            asked = run is not None and any_process(interrupt.requested)
            if run is not None:
                run.record(record)
                if finished or asked or done % saves == 0:
                    if not _finite(state.params):
                        raise fail(done + 1, math.nan)
                    run.checkpoints.save(done, state, evaluations.at(done))
            on_record(record)
            advance(len(span), f"loss {record['loss']:.4g}, {speed:,.0f} tokens/s")
            if finished:
                break
            if run is not None and asked:
                raise InterruptedRunError(done, run.folder, run.go_on)
    nnx.update(model, layout.local(state.params))
    if run is not None:
        run.finish()
    return history()


def _restore(run: Run, state: TrainState, evaluations: Evaluations) -> tuple[int, TrainState]:
    """Where the run goes on, and from which state."""
    start = main_does(run.checkpoints.resume_at)
    if start:
        main_does(run.checkpoints.tidy)
        state = run.checkpoints.restore(start, state)
    evaluations.recall(run.begin(start))
    return start, state


def _arrays(
    data: Any, batches: Batches, layout: Layout, calls: list[Span], accumulate: int
) -> Iterator[tuple[Span, Any]]:
    """Every call's steps and arrays: new ones from ``Batches``, else always the same."""
    if isinstance(data, Batches):
        return feed(batches, layout, calls, accumulate)
    if layout.mesh is not None:
        data = layout.batches(batches(0, layout.rows(batches.size)), 0)
    return ((span, data) for span in calls)


def _concatenate(parts: list[Report]) -> Report:
    if not parts:
        return Report(np.zeros(0), {})
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)


def _check_counts(**counts: int | None) -> None:
    for name, value in counts.items():
        optional = name not in ("steps", "accumulate")
        if value is None and optional:
            continue
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"{name}: expected an int, got {value!r}")
        if value < 1:
            rest = ", or None" if optional else ""
            raise ValueError(f"{name}: expected at least 1{rest}, got {value}")


def _finite(params: PyTree) -> bool:
    """Weights that are not finite give such a loss at the next step."""
    return bool(_all_finite(params))


@jax.jit
def _all_finite(params: PyTree) -> Any:
    return jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(params)]).all()
