from .associative import Associative
from .base import Constants, Inputs, Scan, Unsupported
from .checkpointed import Checkpointed
from .choice import AUTO
from .gated import Gated
from .newton import Newton, NewtonRun
from .parallel_adjoint import ParallelAdjoint
from .runner import run
from .sequential import Sequential
from .step import advance
from .tpu import Tpu

__all__ = [
    "AUTO",
    "Associative",
    "Checkpointed",
    "Constants",
    "Gated",
    "Inputs",
    "Newton",
    "NewtonRun",
    "ParallelAdjoint",
    "Scan",
    "Sequential",
    "Tpu",
    "Unsupported",
    "advance",
    "run",
]
