"""What a checkpoint says of its training beside the arrays, and how a training resumes from it."""

from typing import Any

from jax_rnn.train.checkpoints import CheckpointError
from jax_rnn.train.evaluations import Evaluations
from jax_rnn.train.feed import Feed
from jax_rnn.train.mesh import main_does
from jax_rnn.train.run import Run
from jax_rnn.train.step import TrainState

__all__ = ["resume", "take_notes"]


def take_notes(done: int, seconds: float, evaluations: Evaluations, feed: Feed) -> dict[str, Any]:
    """The notes of the checkpoint of step ``done``, see ``Checkpoints.save``."""
    return {
        "seconds": seconds,
        "evaluations": evaluations.plain(),
        "monitor": [evaluations.monitor, evaluations.mode],
        "batches": feed.checksum(done),
    }


def resume(
    run: Run, state: TrainState, evaluations: Evaluations, feed: Feed
) -> tuple[int, float, TrainState]:
    """The step from which the run resumes, its seconds before, and its state.

    Args:
        run: the run; at step 0 if it is new.
        state: the initial state, of a new run.
        evaluations: gets those of the run.
        feed: the data, which must be those of the run.

    Raises:
        CheckpointError: all checkpoints are damaged, or the last one is not that of a training.
        ValueError: other data, or another ``monitor``.
    """
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
            feed.check_same(start, expected)
        main_does(run.checkpoints.tidy)
        state = run.checkpoints.restore(start, state)
    run.begin(start, notes)
    return start, seconds, state
