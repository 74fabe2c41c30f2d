from .associative import Associative
from .base import Constants, Inputs, Scan
from .checkpointed import Checkpointed
from .choice import AUTO, run
from .gated import Gated
from .sequential import Sequential
from .step import advance

__all__ = [
    "AUTO",
    "Associative",
    "Checkpointed",
    "Constants",
    "Gated",
    "Inputs",
    "Scan",
    "Sequential",
    "advance",
    "run",
]
