from .affine import AffineCell
from .base import Cell, HiddenCarry, Noise
from .dropout import RecurrentDropout, VariationalDropout
from .gated import GatedCell
from .gru import GRUCell
from .learned_initial_state import LearnedInitialState
from .linear import Blocks, LinearCell
from .lru import LRUCarry, LRUCell
from .lstm import LSTMCarry, LSTMCell
from .min_gru import MinGRUCell
from .original_gru import OriginalGRUCell
from .projected_lstm import ProjectedLSTMCell
from .residual import Residual
from .rnn import RNNCell
from .wrapper import Wrapper
from .zoneout import Zoneout

__all__ = [
    "AffineCell",
    "Blocks",
    "Cell",
    "GRUCell",
    "GatedCell",
    "HiddenCarry",
    "LRUCarry",
    "LRUCell",
    "LSTMCarry",
    "LSTMCell",
    "LearnedInitialState",
    "LinearCell",
    "MinGRUCell",
    "Noise",
    "OriginalGRUCell",
    "ProjectedLSTMCell",
    "RNNCell",
    "RecurrentDropout",
    "Residual",
    "VariationalDropout",
    "Wrapper",
    "Zoneout",
]
