"""Training: one compiled program, on one device or many, that loses nothing when it is stopped."""

from jax_rnn.train.batches import Batches, Repeated
from jax_rnn.train.checkpoints import CheckpointError, Checkpoints
from jax_rnn.train.history import History, InterruptedRunError, NonFiniteLossError
from jax_rnn.train.loop import fit
from jax_rnn.train.mesh import make_mesh
from jax_rnn.train.run import Run, RunError, load
from jax_rnn.train.seeds import fit_seeds

__all__ = [
    "Batches",
    "CheckpointError",
    "Checkpoints",
    "History",
    "InterruptedRunError",
    "NonFiniteLossError",
    "Repeated",
    "Run",
    "RunError",
    "fit",
    "fit_seeds",
    "load",
    "make_mesh",
]
