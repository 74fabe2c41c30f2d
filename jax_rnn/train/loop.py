"""The training loop: calls of a compiled program of many steps, with progress and a log."""

import math
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from time import perf_counter
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax.sharding import Mesh

from jax_rnn.base.compiler import Options, check_compiler_options
from jax_rnn.base.errors import ArgumentError
from jax_rnn.base.interrupt import Interrupt
from jax_rnn.base.meshes import in_mesh
from jax_rnn.base.processes import any_process, from_main, main_does
from jax_rnn.base.progress import progress_bar
from jax_rnn.base.typing import DTypeLike, PyTree
from jax_rnn.data.batches import Batches, as_batches
from jax_rnn.train.checkpoints import CheckpointError
from jax_rnn.train.checks import check_arguments, check_counts, count_steps, count_to_restart
from jax_rnn.train.feed import Feed
from jax_rnn.train.mesh import Layout
from jax_rnn.train.program import Program, Schedule, choose_steps_per_call, joined
from jax_rnn.train.results import (
    DivergedError,
    Evaluations,
    History,
    InterruptedRunError,
    NonFiniteLossError,
)
from jax_rnn.train.run import Run
from jax_rnn.train.step import Loss, TrainState, prepare

__all__ = ["fit"]


@in_mesh
def fit(
    model: nnx.Module,
    loss: Loss,
    data: Batches | Iterable[PyTree] | PyTree,
    *,
    steps: int | None = None,
    epochs: int | None = None,
    optimizer: optax.GradientTransformation,
    carry: PyTree = None,
    restart_carry: bool = False,
    seed: int | None = None,
    accumulate: int = 1,
    compute_dtype: DTypeLike | None = None,
    mesh: Mesh | None = None,
    evaluate: Callable[[Any], Mapping[str, float]] | None = None,
    evaluate_every: int | None = None,
    patience: int | None = None,
    monitor: str = "loss",
    mode: Literal["min", "max"] = "min",
    run: Run | None = None,
    checkpoint_every: int | None = None,
    steps_per_call: int | None = None,
    compiler_options: Options | None = None,
    on_record: Callable[[dict[str, Any]], None] = lambda record: None,
    description: str = "training",
) -> History:
    """Train ``model`` in place and return the losses and metrics of every step.

    As with ``jax.jit``, the program is cached: the next call with the same kind of model, an equal
    loss and the same optimizer object does not compile it again.

    Args:
        model: any ``nnx.Module``, trained in the mode it is in, ``model.train()`` or ``.eval()``.
            Its ``nnx.Param`` are trained; what a loss writes into one holds for this batch. All
            other state passes from batch to batch as the loss leaves it, without a gradient and in
            its own dtype (``nnx.BatchStat``, counts of ``nnx.Rngs``, arrays in attributes), is
            saved with the parameters, and is in the model at the end. A loss creates and removes no
            variables; ``nnx.Intermediate`` are dropped after every batch.
        loss: function ``loss(model, batch) -> (loss, metrics)`` or ``-> loss``, pure but for the
            state of the model; the loss is a floating scalar, metrics any pytree of arrays. With
            ``carry`` it is called with ``carry=`` and returns ``(loss, metrics, carry)``; with
            ``seed`` it is called with ``rngs=``.
        data: a pytree of arrays (dict, tuple, array), all of which every step trains on; or
            ``Batches``, as ``jax_rnn.data.Shuffled(arrays, batch_size, seed)``; or an iterable of
            batches that can be read several times, as a torch ``DataLoader`` or a list of dicts,
            each a pytree of arrays or tensors of one shape, the batch axis first; a shorter last
            batch is skipped. float64 arrays become float32 unless ``jax_enable_x64`` is set.
        steps: number of optimizer steps, including those before a resumption.
        epochs: passes over ``data``, instead of ``steps``: ``epochs * per_epoch // accumulate``
            steps. An iterable is read once to count its batches.
        optimizer: any ``optax.GradientTransformation``; schedules and clipping are parts of it.
        carry: initial state that is carried from batch to batch, a pytree of arrays, batch on axis
            1, as (L, B, H): a hidden state, for truncated backpropagation through time. No gradient
            flows through it. None (default) carries nothing.
        restart_carry: whether the carry starts anew at the first batch of every epoch, which is
            batch k with k a multiple of ``per_epoch``. False (default): it goes on, unless the loss
            itself replaces it, e.g. where ``jax_rnn.data.TextBatches`` marks rows as ``"fresh"``.
        seed: int, seed of the ``nnx.Rngs`` that the loss gets, new at every step, for dropout.
            None (default) passes no ``rngs``; layers with ``rngs`` of their own need none.
        accumulate: number of batches per step, whose gradients and metrics are averaged. Default 1.
        compute_dtype: e.g. ``jnp.bfloat16``: dtype to which the parameters and the carry are cast
            for the model; the optimizer's copy and other state keep theirs. None casts nothing.
        mesh: ``jax.sharding.Mesh`` with one axis of any name, over which every batch is sharded;
            all variables are replicated on all devices. None (default) uses the devices on which
            the arrays are.
        evaluate: function that is called with a copy of the model in evaluation mode and returns
            figures, a dict of floats. None (default) does not evaluate.
        evaluate_every: steps between two evaluations; None (default) evaluates only at the end.
        patience: evaluations without a better ``monitor`` after which training stops; None
            (default) never stops it.
        monitor: name of the figure for ``patience`` and the best checkpoint. Default ``"loss"``.
        mode: ``"min"`` (default) or ``"max"``: whether the smallest or the largest is the best.
        run: an open ``Run``, in which training is saved. Training resumes from its last complete
            checkpoint, bit for bit as an uninterrupted run. Ctrl-C then saves and stops. An
            iterable is read from its start up to that step, and refused if it does not return the
            same batches again. None (default) saves nothing.
        checkpoint_every: steps between two checkpoints; None (default) is ``evaluate_every``. One
            is always written at the end.
        steps_per_call: steps in one call of the compiled program; None (default) chooses a number
            with little overhead that still reports progress.
        compiler_options: options of XLA for the program by name, as ``compiler_options`` of
            ``jax.jit``; ``jax_rnn.compiler_options("gpu")`` returns those known to help. None
            (default) is none.
        on_record: function that is called after every call of the program with the row of the log,
            ``{"step", "loss", "tokens_per_second", "seconds", ...}``.
        description: text of the progress bar.

    Returns:
        Losses and metrics of every step since the start or the resumption, see ``History``.

    Raises:
        NonFiniteLossError: a loss is NaN or infinite. The model keeps its initial weights, and the
            run its last checkpoint.
        DivergedError: an evaluation overflowed; the run has a checkpoint of that step.
        InterruptedRunError: the run was interrupted by a signal; everything is saved.
        CheckpointError: a checkpoint could not be written or read.
        TypeError, ValueError: arguments that do not fit; nothing was compiled or written.
    """
    check_counts(
        steps=steps,
        epochs=epochs,
        accumulate=accumulate,
        steps_per_call=steps_per_call,
        evaluate_every=evaluate_every,
        checkpoint_every=checkpoint_every,
        patience=patience,
    )
    check_arguments(model, loss, optimizer, evaluate, patience)
    compiler = check_compiler_options(compiler_options)
    evaluations = Evaluations(patience, monitor, mode)
    layout = Layout(mesh)
    feed = Feed(as_batches(data), layout, accumulate)
    steps = count_steps(steps, epochs, feed.batches, accumulate)
    layout.check(feed.batches.size)
    restart = count_to_restart(feed.batches, carry, restart_carry)
    options = seed, accumulate, compute_dtype, restart
    training = prepare(model, loss, optimizer, carry, *options, layout.local)
    program = Program(training, layout, feed.streaming, compiler)
    sizes = training.state.params, feed.batches, steps
    schedule = Schedule(
        steps,
        steps_per_call or choose_steps_per_call(*sizes, evaluate_every),
        evaluate_every or steps,
        checkpoint_every or evaluate_every or steps,
    )
    state, start, seconds = layout.state(training.state), 0, 0.0
    if run is not None:
        state, start, seconds = _resumed(run, state, feed, evaluations)
    if start > steps:
        done = f"at least {start}, the completed steps of the run"
        raise ArgumentError("steps", f"expected {done}, got {steps}")
    began, reports, interrupt = perf_counter() - seconds, [], Interrupt()

    def variables() -> Any:
        return layout.local((state.params, state.model_state))

    def history() -> History:
        seconds = program.compile_seconds, program.run_seconds
        return History(*joined(reports), *seconds, tuple(evaluations.rows))

    def save(record: dict[str, Any]) -> None:
        if run is None:
            return
        if not _all_finite(state.params):
            raise _not_finite(record["step"] + 1, math.nan, history(), run)
        notes = {"seconds": record["seconds"], "batches": feed.checksum(record["step"])}
        figures = evaluations.at(record["step"])
        run.save(record["step"], state, figures, notes | evaluations.notes())

    spans = [] if evaluations.exhausted else schedule.spans(start)
    with progress_bar(description, steps) as bar, nullcontext() if run is None else interrupt:
        bar(start, "compiling")
        for span, arrays in feed(spans):
            state, pending = program(state, arrays, len(span))
            feed.prefetch()  # while the device computes
            report = program.read(pending)
            reports.append(report)
            done, loss_now = span.start + len(report.loss), float(report.loss[-1])
            if not math.isfinite(loss_now):
                raise _not_finite(done, loss_now, history(), run)
            record = {
                "step": done,
                "loss": float(report.loss.mean()),
                "tokens_per_second": round(feed.tokens * len(span) / program.last_seconds, 1),
                "seconds": round(perf_counter() - began, 3),
            }
            failure = None
            if evaluate is not None and schedule.evaluates(done):
                try:
                    figures = evaluate(training.rebuild(*variables()))
                    plain = {name: float(value) for name, value in figures.items()}
                    record |= evaluations.add(done, from_main(plain))
                except ArithmeticError as error:
                    failure = DivergedError(done, error)
                    failure.__cause__ = error
                except Exception as error:
                    failure = error
            finished = done == steps or evaluations.exhausted
            stopping = run is not None and any_process(interrupt.requested)
            if run is not None:
                run.record(record)
            if finished or stopping or failure or schedule.saves(done):
                save(record)
            if failure is not None:
                raise failure
            with bar.hidden():
                on_record(record)
            speed = f"{record['tokens_per_second']:,.0f} tokens/s"
            bar(len(span), f"loss {record['loss']:.4g}, {speed}")
            if finished:
                break
            if run is not None and stopping:
                raise InterruptedRunError(done, run.folder, run.guide.resume)
    nnx.update(model, *variables())
    if run is not None:
        run.finish()
    return history()


def _resumed(
    run: Run, state: TrainState, feed: Feed, evaluations: Evaluations
) -> tuple[TrainState, int, float]:
    """The state, the step and the seconds of the last checkpoint of a run; it begins after it.

    Raises:
        CheckpointError: all checkpoints are damaged, or the last one is not that of a training.
        ValueError: the run has other data or another ``monitor``.
    """
    start, notes = main_does(run.resume_at)
    seconds = 0.0
    if start:
        try:
            seconds, batches = float(notes["seconds"]), notes["batches"]
            evaluations.recall(notes)
        except (KeyError, TypeError, AttributeError) as error:
            raise CheckpointError(
                f"{run.folder}: expected a checkpoint of fit at step {start}, got another "
                f"({type(error).__name__}: {error}); train in a new folder"
            ) from error
        if batches is not None:
            feed.check_same(start, batches)
        main_does(run.checkpoints.tidy)
        state = run.checkpoints.restore(start, state)
    run.begin(start)
    return state, start, seconds


def _not_finite(step: int, value: float, history: History, run: Run | None) -> NonFiniteLossError:
    """The error of a loss that is not finite, which says what is kept."""
    kept = "the model keeps its initial weights"
    if run is not None:
        last = main_does(run.checkpoints.latest)
        saved = f"the last checkpoint is in {run.folder}"
        kept += f", and {'no checkpoint has been saved' if last is None else saved}"
    return NonFiniteLossError(step, value, history, kept)


@jax.jit
def _all_finite(params: PyTree) -> Any:
    """Check the weights, since a weight that is not finite affects only the next loss."""
    return jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(params)]).all()
