"""One training in progress: its state, and what happens after every call of the program."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from time import perf_counter
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jax_rnn.base.typing import PyTree
from jax_rnn.train.checkpoints import CheckpointError
from jax_rnn.train.evaluations import Evaluations
from jax_rnn.train.feed import Feed
from jax_rnn.train.history import DivergedError, History, InterruptedRunError, NonFiniteLossError
from jax_rnn.train.interrupt import Interrupt
from jax_rnn.train.mesh import any_process, from_main, main_does
from jax_rnn.train.program import Program, Schedule, Span
from jax_rnn.train.run import Run
from jax_rnn.train.step import Report, Training

__all__ = ["Record", "Session"]

Record = dict[str, Any]
"""Figures after a call of the program: ``"step"``, ``"loss"`` and others."""


class Session:
    """A training that begins, or resumes its run; ``records`` makes all of its steps.

    Args:
        training: the step, and the initial state.
        feed: the data.
        schedule: when to evaluate and save.
        evaluate: as for ``fit``.
        evaluations: gets the figures.
        run: where to save, or None.

    Attributes:
        start: the step from which training resumes; 0 for a new one.
        state: the state after the last call.

    Raises:
        CheckpointError: all checkpoints are damaged, or the last one is not that of a training.
        ValueError: the run has other data, another ``monitor``, or more steps.
    """

    def __init__(
        self,
        training: Training,
        feed: Feed,
        schedule: Schedule,
        evaluate: Callable[[Any], Mapping[str, float]] | None,
        evaluations: Evaluations,
        run: Run | None,
    ):
        self.training, self.feed, self.schedule, self.run = training, feed, schedule, run
        self.evaluate, self.evaluations = evaluate, evaluations
        self.program = Program(training, feed.layout, feed.streaming)
        self.state = feed.layout.state(training.state)
        self.start, self._seconds_before = 0, 0.0
        if run is not None:
            self._resume(run)
        if self.start > schedule.steps:
            raise ValueError(
                f"steps: expected at least {self.start}, the completed steps of the run, got "
                f"{schedule.steps}"
            )
        self._parts: list[Report] = []
        self._interrupt = None if run is None else Interrupt()
        self._began = perf_counter()

    def _resume(self, run: Run) -> None:
        """Continue from the last checkpoint of the run, if it has any."""
        self.start, notes = main_does(run.resume_at)
        if self.start:
            self._recall(run, notes)
            main_does(run.checkpoints.tidy)
            self.state = run.checkpoints.restore(self.start, self.state)
        run.begin(self.start, notes)

    def _recall(self, run: Run, notes: Mapping[str, Any]) -> None:
        """Take over what ``_notes`` wrote, which must be of the same data and ``monitor``."""
        try:
            self._seconds_before = float(notes["seconds"])
            self.evaluations.recall(notes["evaluations"])
            batches, monitored = notes["batches"], notes["monitor"]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CheckpointError(
                f"{run.folder}: expected the checkpoint of step {self.start} to hold the state of "
                f"a training, got another ({type(error).__name__}: {error}); train in a new folder"
            ) from error
        wanted = [self.evaluations.monitor, self.evaluations.mode]
        if monitored != wanted:
            raise ValueError(
                f"monitor: expected {monitored[0]!r} and mode {monitored[1]!r} as in the run, got "
                f"{wanted[0]!r} and {wanted[1]!r}"
            )
        if batches is not None:
            self.feed.check_same(self.start, batches)

    def _notes(self, record: Record) -> dict[str, Any]:
        """What a checkpoint says of its training beside the arrays, see ``Checkpoints.save``."""
        return {
            "seconds": record["seconds"],
            "evaluations": self.evaluations.plain(),
            "monitor": [self.evaluations.monitor, self.evaluations.mode],
            "batches": self.feed.checksum(record["step"]),
        }

    def interruptible(self) -> AbstractContextManager[Any]:
        """Context in which the first Ctrl-C saves the run, if there is one."""
        return self._interrupt or nullcontext()

    def records(self) -> Iterator[tuple[Span, Record]]:
        """Make the steps of all calls; yield those of each with its record, which is saved.

        Raises:
            NonFiniteLossError, DivergedError, InterruptedRunError, CheckpointError: as ``fit``.
        """
        for span in self._calls():
            done, record = span.stop, self._measured(span)
            if self.evaluate is not None and self.schedule.evaluates(done):
                record |= self._evaluated(record)
            finished = done == self.schedule.steps or self.evaluations.exhausted
            stopping = self._interrupt is not None and any_process(self._interrupt.requested)
            self._keep(record, finished or stopping or self.schedule.saves(done))
            yield span, record
            if finished:
                break
            if self.run is not None and stopping:
                raise InterruptedRunError(done, self.run.folder, self.run.guide.resume)

    def variables(self) -> tuple[Any, Any]:
        """The parameters and the other state of the model, as arrays of this process."""
        return self.feed.layout.local((self.state.params, self.state.model_state))

    def history(self) -> History:
        """Everything since the start."""
        parts = self._parts or [Report(np.zeros(0), {})]
        loss, metrics = jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)
        seconds = self.program.compile_seconds, self.program.run_seconds
        return History(loss, metrics, *seconds, tuple(self.evaluations.rows))

    def _calls(self) -> Iterator[Span]:
        """Call the program for each span, and read its report."""
        spans = [] if self.evaluations.exhausted else self.schedule.spans(self.start)
        source = self.feed(spans)
        upcoming = next(source, None)
        while upcoming is not None:
            span, arrays = upcoming
            self.state, report = self.program(self.state, arrays, len(span))
            upcoming = next(source, None)  # read while the device computes
            self._add(span, self.program.read(report))
            yield span

    def _add(self, span: Span, report: Report) -> None:
        """Store a report, up to the first loss that is not finite."""
        bad = np.flatnonzero(~np.isfinite(report.loss))
        if bad.size == 0:
            self._parts.append(report)
            return
        first = int(bad[0])
        self._parts.append(jax.tree.map(lambda leaf: leaf[: first + 1], report))
        raise self._fault(span.start + first + 1, float(report.loss[first]))

    def _measured(self, span: Span) -> Record:
        """The loss and speed of the last call."""
        speed = self.feed.tokens * len(span) / self.program.last_seconds
        return {
            "step": span.stop,
            "loss": float(self._parts[-1].loss.mean()),
            "tokens_per_second": round(speed, 1),
            "seconds": round(self._seconds_before + perf_counter() - self._began, 3),
        }

    def _evaluated(self, record: Record) -> Record:
        """The figures of an evaluation, for the record; if it fails, the step is saved."""
        assert self.evaluate is not None
        done = record["step"]
        try:
            figures = self.evaluate(self.training.rebuild(*self.variables()))
            figures = from_main({name: float(value) for name, value in figures.items()})
            return self.evaluations.add(done, figures)
        except Exception as error:
            self._keep(record, save=True)
            if isinstance(error, ArithmeticError):
                raise DivergedError(done, error) from error
            raise

    def _keep(self, record: Record, save: bool) -> None:
        """Write the record, and the state too if ``save``, where there is a run."""
        if self.run is None:
            return
        self.run.record(record)
        if save:
            done = record["step"]
            if not _all_finite(self.state.params):
                raise self._fault(done + 1, math.nan)
            self.run.save(done, self.state, self.evaluations.at(done), self._notes(record))

    def _fault(self, step: int, value: float) -> NonFiniteLossError:
        """The error of a loss that is not finite, which says what is kept."""
        kept = "the model keeps its initial weights"
        if self.run is not None:
            stays = f"the last good checkpoint stays in {self.run.folder}"
            last = main_does(self.run.checkpoints.latest)
            kept += f", {'no checkpoint was saved before' if last is None else stays}"
        return NonFiniteLossError(step, value, self.history(), kept)


@jax.jit
def _all_finite(params: PyTree) -> Any:
    """Check the weights, since a weight that is not finite affects only the next loss."""
    return jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(params)]).all()
