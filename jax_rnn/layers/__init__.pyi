from .calls import LayerState
from .decoding import decode, sample
from .feedforward import Embedding, Linear
from .recurrent import Recurrent
from .sequences import PackedSequence, lengths_to_mask, pack_padded_sequence, pad_packed_sequence
from .torch_layers import GRU, LSTM, RNN

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "Embedding",
    "LayerState",
    "Linear",
    "PackedSequence",
    "Recurrent",
    "decode",
    "lengths_to_mask",
    "pack_padded_sequence",
    "pad_packed_sequence",
    "sample",
]
