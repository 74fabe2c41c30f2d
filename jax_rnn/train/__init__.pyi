from .checkpoints import CheckpointError, Checkpoints
from .config import ModelConfig, RunConfig, RunError
from .feed import Batches, Repeated, Stream
from .loading import load
from .loop import fit
from .mesh import make_mesh
from .results import (
    DivergedError,
    History,
    InterruptedRunError,
    NonFiniteLossError,
)
from .run import Run
from .seeds import fit_seeds

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
