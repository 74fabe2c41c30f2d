from . import data, testing, train
from .cells.base import AffineCell, Cell, GatedCell, HiddenCarry, unstack
from .cells.gru import GRUCell
from .cells.lstm import LSTMCarry, LSTMCell
from .cells.original_gru import OriginalGRUCell
from .cells.projected_lstm import ProjectedLSTMCell
from .cells.rnn import RNNCell
from .feedforward import Embedding, Linear
from .interop.files import load_safetensors, save_safetensors
from .interop.flax_cells import from_flax, to_flax
from .interop.modules import from_torch, to_torch
from .interop.state_dict import load_torch_state_dict, torch_state_dict
from .layers import GRU, LSTM, RNN
from .recurrent import Recurrent
from .sequences import (
    PackedSequence,
    lengths_to_mask,
    pack_padded_sequence,
    pad_packed_sequence,
)
from .train.history import DivergedError, History, NonFiniteLossError
from .train.loop import fit

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "AffineCell",
    "Cell",
    "DivergedError",
    "Embedding",
    "GRUCell",
    "GatedCell",
    "HiddenCarry",
    "History",
    "LSTMCarry",
    "LSTMCell",
    "Linear",
    "NonFiniteLossError",
    "OriginalGRUCell",
    "PackedSequence",
    "ProjectedLSTMCell",
    "RNNCell",
    "Recurrent",
    "data",
    "fit",
    "from_flax",
    "from_torch",
    "lengths_to_mask",
    "load_safetensors",
    "load_torch_state_dict",
    "pack_padded_sequence",
    "pad_packed_sequence",
    "save_safetensors",
    "testing",
    "to_flax",
    "to_torch",
    "torch_state_dict",
    "train",
    "unstack",
]
