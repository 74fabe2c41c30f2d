"""The training loop: calls of a compiled program of many steps, with progress and metrics."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext
from time import perf_counter
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax.sharding import Mesh

from jax_rnn.train.batches import Batches, Repeated, Stream
from jax_rnn.train.checkpoints import CheckpointError
from jax_rnn.train.checks import (
    as_batches,
    check_counts,
    check_model,
    check_optimizer,
    count_steps,
)
from jax_rnn.train.evaluations import Evaluations
from jax_rnn.train.feed import Span, feed, spans
from jax_rnn.train.history import DivergedError, History, InterruptedRunError, NonFiniteLossError
from jax_rnn.train.interrupt import Interrupt
from jax_rnn.train.mesh import Layout, any_process, from_main, in_mesh, main_does
from jax_rnn.train.program import Program, choose_steps_per_call
from jax_rnn.train.progress import progress_bar
from jax_rnn.train.run import Run
from jax_rnn.train.step import Loss, Report, TrainState, prepare
from jax_rnn.typing import DTypeLike, PyTree

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
    on_record: Callable[[dict[str, Any]], None] = lambda record: None,
    description: str = "training",
) -> History:
    """Train ``model`` in place and return the losses and metrics of every step.

    As with ``jax.jit``, the program is cached: the next call with the same kind of model, an equal
    loss and the same optimizer object does not compile it again.

    Args:
        model: any ``nnx.Module``; its ``nnx.Param`` are trained.
        loss: function ``loss(model, batch) -> (loss, metrics)`` or ``-> loss``, pure; the loss is
            a floating scalar, metrics any pytree of arrays. With ``carry`` it is called with
            ``carry=`` and returns ``(loss, metrics, carry)``; with ``seed`` it is called with
            ``rngs=``.
        data: one of

            - a pytree of arrays (dict, tuple, array): every step trains on all of them;
            - ``Batches``: ``jax_rnn.data.Shuffled(arrays, batch_size, seed)`` or a class of your
              own, which gives batch k on request;
            - an iterable of batches that can be read several times: a torch ``DataLoader``, a
              list of dicts, an object with ``__iter__``. Every batch is a pytree of arrays or
              tensors, the batch axis first, all of one shape; a shorter last batch is skipped.

            float64 arrays become float32 unless ``jax_enable_x64`` is set, as in ``jnp.asarray``.
        steps: number of optimizer steps, including those before a resumption.
        epochs: passes over ``data``, instead of ``steps``: ``epochs * per_epoch // accumulate``
            steps. An iterable is read once to count its batches.
        optimizer: any ``optax.GradientTransformation``; schedules and clipping are parts of it.
        carry: initial state that is carried from batch to batch, a pytree of arrays: a hidden
            state, for truncated backpropagation through time. No gradient flows through it.
            Batch on axis 1, as (L, B, H). None (default) carries nothing.
        seed: int, seed of the ``nnx.Rngs`` that the loss gets, new at every step, for dropout.
            None (default) passes no ``rngs``.
        accumulate: number of batches per step, whose gradients and metrics are averaged. Default 1.
        compute_dtype: e.g. ``jnp.bfloat16``: dtype to which the parameters and the carry are cast
            for the model; the optimizer's copy keeps its dtype. None (default) casts nothing.
        mesh: ``jax.sharding.Mesh`` with one axis of any name, over which every batch is sharded;
            from ``jax.make_mesh`` or ``jax_rnn.train.make_mesh``. Parameters are replicated on all
            devices; gradients are summed over them. None (default) uses one device.
        evaluate: function that is called with the model in evaluation mode and returns figures, a
            dict of floats. None (default) does not evaluate.
        evaluate_every: steps between two evaluations; None (default) evaluates only at the end.
        patience: evaluations without a better ``monitor`` after which training stops; None
            (default) never stops it.
        monitor: name of the figure for ``patience`` and the best checkpoint. Default ``"loss"``.
        mode: ``"min"`` (default) or ``"max"``: whether the smallest or the largest is the best.
        run: an open ``Run``, in which training is saved. Training resumes from its last complete
            checkpoint, bit for bit as an uninterrupted run. Ctrl-C then saves and stops. An
            iterable is read from its start up to that step, and refused if it does not return the
            same batches again; ``Batches`` are not read before that step. None (default) saves
            nothing.
        checkpoint_every: steps between two checkpoints; None (default) is ``evaluate_every``. One
            is always written at the end.
        steps_per_call: steps in one call of the compiled program; None (default) chooses a number
            with little overhead that still reports progress.
        on_record: function that is called with each record,
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
    check_model(model)
    check_optimizer(optimizer)
    if not callable(loss):
        raise TypeError(f"loss: expected a function, got {type(loss).__name__}")
    if evaluate is None and patience is not None:
        raise ValueError("patience: expected evaluate=, which returns the figures, got None")
    evaluations = Evaluations(patience, monitor, mode)
    batches = as_batches(data)
    streaming = not isinstance(batches, Repeated)
    if accumulate > 1 and not streaming:
        raise ValueError("accumulate: expected batches to take several from, got the same arrays")
    steps = count_steps(steps, epochs, batches, accumulate)
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
    start, before = 0, 0.0
    if run is not None:
        start, before, state = _restore(run, state, evaluations, batches, accumulate)
    if start > steps:
        raise ValueError(
            f"steps: expected at least {start}, the completed steps of the run, got {steps}"
        )
    size = steps_per_call or choose_steps_per_call(
        training.state.params, batches, steps, streaming, evaluate_every
    )
    evaluates_at = evaluate_every or steps
    saves_at = steps if run is None else checkpoint_every or evaluates_at
    calls = (
        [] if evaluations.exhausted else list(spans(start, steps, (size, evaluates_at, saves_at)))
    )
    source = _arrays(batches, layout, calls, accumulate)

    parts: list[Report] = []
    interrupt = Interrupt()
    began = perf_counter()

    def history() -> History:
        loss, metrics = _concatenate(parts)
        seconds = program.compile_seconds, program.run_seconds
        return History(loss, metrics, *seconds, tuple(evaluations.rows))

    def save(done: int, record: Mapping[str, Any]) -> None:
        assert run is not None
        if not _finite(state.params):
            raise fail(done + 1, math.nan)
        notes = {
            "seconds": record["seconds"],
            "evaluations": evaluations.plain(),
            "monitor": [monitor, mode],
            "batches": _checksum(batches, done * accumulate),
        }
        run.save(done, state, evaluations.at(done), notes)

    def fail(step: int, value: float) -> NonFiniteLossError:
        last = None if run is None else main_does(run.checkpoints.latest)
        stays = "" if run is None else ", no checkpoint was saved before"
        if run is not None and last is not None:
            stays = f", the last good checkpoint stays in {run.folder}"
        kept = f"the model keeps its initial weights{stays}"
        return NonFiniteLossError(step, value, history(), kept)

    with progress_bar(description, steps) as bar, nullcontext() if run is None else interrupt:
        bar(start, "compiling")
        upcoming = next(source, None)
        while upcoming is not None:
            span, arrays = upcoming
            state, report = program(state, arrays, len(span))
            upcoming = next(source, None)  # read while the device computes
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
                "seconds": round(before + perf_counter() - began, 3),
            }
            if evaluate is not None and (done % evaluates_at == 0 or done == steps):
                try:
                    figures = evaluate(training.rebuild(layout.local(state.params)))
                    figures = from_main({name: float(value) for name, value in figures.items()})
                    record |= evaluations.add(done, figures)
                except Exception as error:
                    if run is not None:
                        run.record(record)
                        save(done, record)
                    if isinstance(error, ArithmeticError):
                        raise DivergedError(done, error) from error
                    raise
            finished = done == steps or evaluations.exhausted
            stopping = run is not None and any_process(interrupt.requested)
            if run is not None:
                run.record(record)
                if finished or stopping or done % saves_at == 0:
                    save(done, record)
            with bar.hidden():
                on_record(record)
            bar(len(span), f"loss {record['loss']:.4g}, {speed:,.0f} tokens/s")
            if finished:
                break
            if run is not None and stopping:
                raise InterruptedRunError(done, run.folder, run.go_on)
    nnx.update(model, layout.local(state.params))
    if run is not None:
        run.finish()
    return history()


def _restore(
    run: Run, state: TrainState, evaluations: Evaluations, batches: Batches, accumulate: int
) -> tuple[int, float, TrainState]:
    """The step from which the run resumes, its seconds before, and its state."""
    start, notes = main_does(run.resume_at)
    seconds = 0.0
    if start:
        try:
            seconds = float(notes["seconds"])
            evaluations.recall(notes["evaluations"])
            expected, monitored = notes["batches"], notes["monitor"]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CheckpointError(
                f"{run.folder}: expected the checkpoint of step {start} to hold the state of a "
                f"training, got another ({type(error).__name__}: {error}); train in a new folder"
            ) from error
        wanted = [evaluations.monitor, evaluations.mode]
        if monitored != wanted:
            raise ValueError(
                f"monitor: expected {monitored[0]!r} and mode {monitored[1]!r} as in the run, got "
                f"{wanted[0]!r} and {wanted[1]!r}"
            )
        if expected is not None:
            _check_batches(batches, start * accumulate, expected)
        main_does(run.checkpoints.tidy)
        state = run.checkpoints.restore(start, state)
    run.begin(start, notes)
    return start, seconds, state


def _checksum(batches: Batches, count: int) -> int | None:
    """Checksum of the first ``count`` batches of an iterable; None for other data."""
    return batches.checksum(count) if isinstance(batches, Stream) else None


def _check_batches(batches: Batches, count: int, expected: int) -> None:
    """Check the data. ValueError: an iterable does not return the batches of the run again."""
    if isinstance(batches, Stream):
        batches(count - 1, slice(0, 0))
    if _checksum(batches, count) != expected:
        raise ValueError(
            f"data: expected the same {count} batches that the run was trained on, got others; use "
            "an iterable that returns the same ones each time it is read in a new process. A "
            "DataLoader does with shuffle=False, or with a generator of a fixed seed"
        )


def _arrays(
    batches: Batches, layout: Layout, calls: list[Span], accumulate: int
) -> Iterator[tuple[Span, Any]]:
    """The steps and arrays of every call: new ones for batches, otherwise always the same."""
    if not isinstance(batches, Repeated):
        return feed(batches, layout, calls, accumulate)
    data = batches.arrays
    if layout.mesh is not None:
        data = layout.batches(batches(0, layout.rows(batches.size)), 0)
    return ((span, data) for span in calls)


def _concatenate(parts: list[Report]) -> Report:
    if not parts:
        return Report(np.zeros(0), {})
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)


def _finite(params: PyTree) -> bool:
    """Check the weights, since a weight that is not finite affects only the next loss."""
    return bool(_all_finite(params))


@jax.jit
def _all_finite(params: PyTree) -> Any:
    return jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(params)]).all()
