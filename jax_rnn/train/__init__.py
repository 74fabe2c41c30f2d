"""Training as one compiled program, on one or several devices, with exact resumption."""

from jax_rnn.data.batches import Batches, Repeated, Stream
from jax_rnn.train.checkpoints import CheckpointError, Checkpoints
from jax_rnn.train.config import ModelConfig, RunConfig, RunError
from jax_rnn.train.load import load
from jax_rnn.train.loop import fit
from jax_rnn.train.mesh import make_mesh
from jax_rnn.train.results import (
    DivergedError,
    History,
    InterruptedRunError,
    NonFiniteLossError,
)
from jax_rnn.train.run import Run
from jax_rnn.train.seeds import fit_seeds

__all__ = [
    "Batches",
    "CheckpointError",
    "Checkpoints",
    "DivergedError",
    "History",
    "InterruptedRunError",
    "ModelConfig",
    "NonFiniteLossError",
    "Repeated",
    "Run",
    "RunConfig",
    "RunError",
    "Stream",
    "fit",
    "fit_seeds",
    "load",
    "make_mesh",
]
