from . import data, scans, testing, train
from .base import initializers
from .base.compiler import compiler_options
from .cells.affine import AffineCell
from .cells.base import Cell, HiddenCarry, Noise
from .cells.dropout import RecurrentDropout, VariationalDropout
from .cells.gated import GatedCell
from .cells.gru import GRUCell
from .cells.learned_initial_state import LearnedInitialState
from .cells.linear import Blocks, LinearCell
from .cells.literature.lru import LRUCarry, LRUCell
from .cells.literature.min_gru import MinGRUCell
from .cells.literature.original_gru import OriginalGRUCell
from .cells.literature.projected_lstm import ProjectedLSTMCell
from .cells.lstm import LSTMCarry, LSTMCell
from .cells.residual import Residual
from .cells.rnn import RNNCell
from .cells.wrapper import Wrapper
from .cells.zoneout import Zoneout
from .interop.files import load_safetensors, save_safetensors
from .interop.flax_cells import from_flax, to_flax
from .interop.modules import from_torch, to_torch
from .interop.state_dict import load_torch_state_dict, torch_state_dict
from .layers.calls import LayerState
from .layers.decoding import decode, sample
from .layers.feedforward import Embedding, Linear
from .layers.recurrent import Recurrent
from .layers.sequences import (
    PackedSequence,
    lengths_to_mask,
    pack_padded_sequence,
    pad_packed_sequence,
)
from .layers.torch_layers import GRU, LSTM, RNN
from .train.loop import fit
from .train.results import DivergedError, History, NonFiniteLossError

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "AffineCell",
    "Blocks",
    "Cell",
    "DivergedError",
    "Embedding",
    "GRUCell",
    "GatedCell",
    "HiddenCarry",
    "History",
    "LRUCarry",
    "LRUCell",
    "LSTMCarry",
    "LSTMCell",
    "LayerState",
    "LearnedInitialState",
    "Linear",
    "LinearCell",
    "MinGRUCell",
    "Noise",
    "NonFiniteLossError",
    "OriginalGRUCell",
    "PackedSequence",
    "ProjectedLSTMCell",
    "RNNCell",
    "Recurrent",
    "RecurrentDropout",
    "Residual",
    "VariationalDropout",
    "Wrapper",
    "Zoneout",
    "compiler_options",
    "data",
    "decode",
    "fit",
    "from_flax",
    "from_torch",
    "initializers",
    "lengths_to_mask",
    "load_safetensors",
    "load_torch_state_dict",
    "pack_padded_sequence",
    "pad_packed_sequence",
    "sample",
    "save_safetensors",
    "scans",
    "testing",
    "to_flax",
    "to_torch",
    "torch_state_dict",
    "train",
]
