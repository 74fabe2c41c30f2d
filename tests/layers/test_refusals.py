"""What is refused: the error, and the argument it names, before anything is compiled, also in jit.

Every message says what was expected and what came. A row of a table is (call, error, words), where
the words, separated by "|", are in the message; the first names the argument.
"""

import warnings
from types import SimpleNamespace

import jax
import numpy as np
import optax
import pytest
from flax import nnx

from jax_rnn import (
    GRU,
    LSTM,
    RNN,
    Embedding,
    GRUCell,
    HiddenCarry,
    Linear,
    LSTMCarry,
    LSTMCell,
    ProjectedLSTMCell,
    Recurrent,
    RNNCell,
    fit,
    load_torch_state_dict,
    pack_padded_sequence,
    pad_packed_sequence,
    torch_state_dict,
)
from jax_rnn.interop import from_torch, load_safetensors, to_torch
from jax_rnn.scans import Checkpointed, Sequential
from jax_rnn.testing import check_parity
from tests.kit import cases, refused

torch = pytest.importorskip("torch")

I, H, P, B, T = 3, 4, 2, 2, 5  # noqa: E741
TE, VE = TypeError, ValueError

pytestmark = pytest.mark.usefixtures("unchecked")


def zeros(*shape, dtype=np.float32):
    return np.zeros(shape, dtype)


X, h = zeros(T, B, I), zeros(1, B, H)


@pytest.fixture(scope="module")
def b():
    """The objects that the refused calls use, built once."""
    rngs = nnx.Rngs(0)
    found = SimpleNamespace(
        gru_cell=GRUCell(I, H, rngs=rngs),
        upper=GRUCell(H, H, rngs=rngs),
        lstm_cell=LSTMCell(I, H, rngs=rngs),
        half_upper=GRUCell(H, H, dtype="bfloat16", rngs=rngs),
        linear=Linear(I, H, rngs=rngs),
        flax=nnx.Linear(I, H, rngs=rngs),
        rnn=RNN(I, H, rngs=rngs),
        gru=GRU(I, H, rngs=rngs),
        lstm=LSTM(I, H, rngs=rngs),
        proj=LSTM(I, H, proj_size=P, rngs=rngs),
        stack=GRU(I, H, 3, batch_first=True, rngs=rngs),
        both=LSTM(I, H, bidirectional=True, rngs=rngs),
        turned=GRU(I, H, batch_first=True, rngs=rngs),
        dropping=GRU(I, H, 2, dropout=0.5, rngs=rngs),
        before=GRU(I, H, reset_after=False, rngs=rngs),
        streams=nnx.Rngs(params=0),
        keys=jax.random.split(jax.random.key(0)),
        rngs=rngs,
    )
    names = "gru", "lstm", "proj", "both"
    found.state = {name: torch_state_dict(getattr(found, name)) for name in names}
    found.packed = pack_padded_sequence(X, [5, 3])
    return found


@pytest.fixture
def compiled(b, compilations):
    """The programs that a test compiles; the list starts empty."""
    jax.clear_caches()
    compilations.clear()
    return compilations


# (layer, input, options, error, words); inside jit the input is data

INPUTS = [
    ("gru", zeros(), {}, VE, "input|(T, B, I)|got ()"),
    ("gru", zeros(I), {}, VE, "input|(T, B, I), or (T, I) without a batch|got (3,)"),
    ("turned", zeros(I), {}, VE, "input|(B, T, I)|got (3,)"),
    ("rnn", zeros(T, B, 7), {}, VE, "input|3 input features, got 7|last axis"),
    ("lstm", zeros(B, I, T), {}, VE, "input|3 input features, got 5"),
    ("gru", zeros(T, 2), {}, VE, "input|3 input features, got 2"),
    ("lstm", zeros(T, B, I, dtype=np.int32), {}, VE, "input|float32|got int32|.astype"),
    ("gru", zeros(T, B, I, dtype=bool), {}, VE, "input|float32|got bool|.astype"),
    ("gru", zeros(T, B, I, dtype=np.complex64), {}, VE, "input|float32|got complex64|.astype"),
    ("gru", zeros(T, B, I, dtype=np.float16), {}, VE, "input|float32|got float16|.astype"),
    ("gru", X.tolist(), {}, TE, "input|a list|asarray"),
    ("gru", zeros(0, B, I), {}, VE, "at least one time step|got none|(0, 2, 3)"),
    ("turned", zeros(B, 0, I), {}, VE, "at least one time step|got none|(2, 0, 3)"),
    ("gru", zeros(0, I), {}, VE, "at least one time step|got none|(0, 3)"),
]
STATES = [
    ("gru", X, zeros(1, 3, H), VE, "hx|(1, 2, 4)|(layers * directions, batch, features)|(1, 3, 4)"),
    ("stack", zeros(B, T, I), zeros(B, 3, H), VE, "hx|(3, 2, 4)|for any batch_first|(2, 3, 4)"),
    ("stack", zeros(B, T, I), h, VE, "hx|(3, 2, 4)"),
    ("both", X, (h, h), VE, "hx|(2, 2, 4)|layers * directions|(1, 2, 4)"),
    ("rnn", X, zeros(1, B, I), VE, "h of hx|(1, 2, 4)|(1, 2, 3)"),
    ("rnn", X, zeros(1, H), VE, "hx|(1, 2, 4)|(1, 4)"),
    ("rnn", zeros(T, I), zeros(1, 1, H), VE, "hx|(1, 4)|(layers * directions, features)"),
    ("gru", X, h.astype(np.float16), VE, "hx|a float32 array|got a float16 array"),
    ("gru", X, h.astype(int), VE, "hx|a float32 array|int64 array"),
    ("gru", X, (h, h), TE, "h of hx|got a tuple of 2"),
    ("rnn", X, h.tolist(), TE, "h of hx|got a list of 1"),
    ("gru", X, torch.zeros(1, B, H), TE, "h of hx|torch"),
    ("lstm", X, h, TE, "hx|a tuple (h, c)|got a float32 array"),
    ("lstm", X, zeros(2, B, H), TE, "hx|a tuple (h, c)|(2, 2, 4)"),
    ("lstm", X, (h,), TE, "hx|a tuple (h, c)|got a tuple of 1"),
    ("lstm", X, [h, h, h], TE, "hx|a tuple (h, c)|got a list of 3"),
    ("lstm", X, (h, None), TE, "c of hx|(1, 2, 4)|None"),
    ("lstm", X, "zeros", TE, "hx|a tuple (h, c)|got str"),
    ("lstm", X, {"h": h, "c": h}, TE, "hx|a tuple (h, c)|got dict"),
    ("lstm", X, (h, zeros(1, B, I)), VE, "c of hx|(1, 2, 4)|(1, 2, 3)"),
    ("proj", X, (h, zeros(1, B, P)), VE, "h of hx|(1, 2, 2)|(1, 2, 4)"),
    ("proj", X, (h, h), VE, "h of hx|(1, 2, 2)|(1, 2, 4)"),
]
LENGTHS = [
    (X, np.array([5]), VE, "lengths of shape (2,)|got shape (1,)"),
    (X, [5, 3, 1], VE, "lengths of shape (2,)|got shape (3,)"),
    (X, [[5], [3]], VE, "lengths of shape (2,)|got shape (2, 1)"),
    (zeros(T, I), [5], VE, "lengths of shape ()|got shape (1,)"),
    (X, [[5], [3, 1]], (TE, VE), "lengths|got"),
    (X, np.array([5.0, 3.0]), TE, "lengths to be integers|got float64|.astype"),
    (X, np.array([True, False]), TE, "lengths to be integers|got bool"),
    (X, ["5", "3"], TE, "lengths to be integers|got <U1"),
    (X, [None, 3], TE, "lengths to be integers|got object"),
    (X, [T + 1, 3], VE, "lengths from 0 to 5, the number of time steps|from 3 to 6"),
    (X, [T, -1], VE, "lengths from 0 to 5, the number of time steps|from -1 to 5"),
]
IN_JIT = [
    *INPUTS,
    *((layer, x, {"hx": hx}, error, words) for layer, x, hx, error, words in STATES),
    *(("gru", x, {"lengths": value}, error, words) for x, value, error, words in LENGTHS),
    ("dropping", X, {}, VE, "rngs|dropout 0.5|got none|rngs=nnx.Rngs(dropout=seed)|.eval()"),
    ("dropping", X, {"rngs": 3}, TE, "rngs|got int|nnx.Rngs(drop"),
]

# (layer, arguments, error, words)

SIZES = [
    (kind, (value, H) if name == "input_size" else (I, value), error, f"{name}: |got {value!r}")
    for kind in (GRU, LSTM, RNN, RNNCell)
    for name, value, error in [
        ("input_size", 0, VE),
        ("input_size", -1, VE),
        ("input_size", 3.0, TE),
        ("hidden_size", 0, VE),
        ("hidden_size", 4.0, TE),
        ("hidden_size", True, TE),
        ("hidden_size", "4", TE),
        ("hidden_size", None, TE),
    ]
] + [
    (Linear, (0, H), VE, "in_features: |got 0"),
    (Linear, (3.0, H), TE, "in_features: |got 3.0"),
    (Linear, (I, -1), VE, "out_features: |got -1"),
    (Embedding, (0, H), VE, "num_embeddings: |got 0"),
    (Embedding, (I, True), TE, "embedding_dim: |got True"),
]
# (layer, options, error), each option a (name, value)
OPTIONS = [
    *((LSTM, "num_layers", value, VE) for value in (0, -2)),
    *((LSTM, "num_layers", value, TE) for value in (True, 2.0, "2")),
    *((GRU, "dropout", value, TE) for value in (True, "0.5", None)),
    *((GRU, "dropout", value, VE) for value in (-0.1, 1.5, float("nan"))),
    *((kind, "proj_size", P, VE) for kind in (GRU, RNN)),
    *((LSTM, "proj_size", value, VE) for value in (H, 9, -1)),
    *((LSTM, "proj_size", value, TE) for value in (1.5, True, "2", None, False)),
    (ProjectedLSTMCell, "proj_size", 0, VE),
    *((RNN, "nonlinearity", value, (TE, VE)) for value in ("gelu", None, ["tanh"])),
    *((GRU, "init", value, (TE, VE)) for value in ("zeros", 3, ["torch"])),
    *((GRU, "dtype", value, (TE, VE)) for value in ("int32", "complex64", "bool", "float12")),
    *((kind, "dtype", "float64", VE) for kind in (GRU, Linear, Embedding)),
    *((kind, "dtype", "int32", VE) for kind in (Linear, Embedding)),
    *((GRU, "rngs", value, TE) for value in (0, None)),
    (GRU, "scan", "fast", VE),
]


def train(**options):
    return lambda b: fit(b.gru, lambda m, x: 1 / 0, X, **{"optimizer": optax.sgd(1.0)} | options)


def load(module, **given):
    """Loads into a module the changed weights of another one, its name and the change given."""
    ((name, change),) = given.items()
    return lambda b: load_torch_state_dict(getattr(b, module), change(b.state[name]))


def transposed(state):
    return {name: value.T for name, value in state.items()}


def integers(state):
    return {name: value.astype(int) for name, value in state.items()}


def original(b):
    return GRU(I, H, reset_after=False, scan="gated", rngs=b.rngs)


OTHERS = [
    (lambda b: b.gru(zeros(T, B, I, dtype=np.float64)), VE, "input|float32|got float64"),
    (lambda b: b.gru(torch.zeros(T, B, I)), TE, "input|torch|jnp.asarray"),
    (lambda b: b.gru(b.packed), TE, "input|got a PackedSequence|lengths="),
    (lambda b: b.dropping(X, rngs=b.keys), TE, "rngs|shape (2,)|a key of jax.random.key"),
    (lambda b: b.dropping(X, rngs=b.streams), (KeyError, VE), "'dropout'|nnx.Rngs(dropout=seed)"),
    (lambda b: b.gru(X, resets=zeros(T, B)), TE, "expected resets to be booleans, got float32"),
    (lambda b: b.gru(X, resets=zeros(B, T, dtype=bool)), VE, "expected resets of shape (5, 2)"),
    (lambda b: Sequential(unroll=0), VE, "unroll: |got 0"),
    (lambda b: Sequential(unroll="2"), TE, "unroll: |got '2'"),
    (lambda b: Checkpointed(every=0), VE, "every: |got 0"),
    (lambda b: Checkpointed(every=2.0), TE, "every: |got 2.0"),
    (original, VE, "scan='gated': |a GatedCell|OriginalGRUCell|scan='auto'"),
    (lambda b: Recurrent(), VE, "at least one cell|got none"),
    (lambda b: Recurrent(b.linear), TE, "cells, or pairs (forward, backward)|got Linear"),
    (lambda b: Recurrent(GRUCell), TE, "a cell|got the class"),
    (lambda b: Recurrent([b.gru_cell, b.upper]), TE, "cells, or pairs|got list"),
    (lambda b: Recurrent(b.gru_cell, b.gru_cell), VE, "input_size 4|GRUCell with input_size 3"),
    (lambda b: Recurrent((b.gru_cell,) * 2, (b.upper,) * 2), VE, "input_size 8|input_size 4"),
    (lambda b: Recurrent((b.gru_cell,) * 2, b.upper), VE, "input_size 8|input_size 4"),
    (lambda b: Recurrent((b.gru_cell,) * 3), VE, "a pair (forward, backward)|got a tuple of 3"),
    (lambda b: Recurrent((b.gru_cell, b.upper)), VE, "input_size 3|input_size 4"),
    (lambda b: Recurrent(b.gru_cell, b.half_upper), VE, "cells of one dtype|float32|bfloat16"),
    (lambda b: Recurrent(b.gru_cell, dropout=2), VE, "dropout: |got 2"),
    (lambda b: b.gru_cell(HiddenCarry(zeros(B, H)), zeros(B, 7)), VE, "input|(*batch, 3)|(2, 7)"),
    (lambda b: b.gru_cell(HiddenCarry(zeros(H)), zeros()), VE, "input|(*batch, 3)|got ()"),
    (lambda b: b.lstm_cell(LSTMCarry(zeros(H), zeros(H)), zeros(I, B)), VE, "(*batch, 3)|(3, 2)"),
    (lambda b: jax.jit(b.rnn.cells[0])((h[0],), h[0]), VE, "RNNCell: |input|(*batch, 3)|(2, 4)"),
    (lambda b: b.gru_cell((h[0],), zeros(B, I).astype("int32")), VE, "input|float32|got int32"),
    (
        lambda b: b.gru_cell((h[0].astype("int32"),), zeros(B, I)),
        VE,
        "h of the carry|float32|got an int32|.astype",
    ),
    (lambda b: b.gru_cell(HiddenCarry(zeros(B, H)), [[0.0] * I] * B), TE, "input|got a list"),
    (lambda b: b.gru_cell(HiddenCarry(zeros(B, 6)), zeros(B, I)), VE, "h|(2, 4)|(2, 6)"),
    (lambda b: b.gru_cell(HiddenCarry(zeros(1, H)), zeros(B, I)), VE, "h|(2, 4)|(1, 4)"),
    (lambda b: b.lstm_cell(HiddenCarry(zeros(B, H)), zeros(B, I)), TE, "LSTMCarry|a HiddenCarry"),
    (load("gru", gru=lambda state: {}), VE, "does not fit GRU|missing: bias_ih_l0"),
    (load("gru", gru=lambda state: state | {"weight_ih_l1": h}), VE, "unexpected: weight_ih_l1"),
    (load("lstm", both=dict), VE, "unexpected: weight_hh_l0_reverse"),
    (load("gru", lstm=dict), VE, "wrong shape: weight_ih_l0, expected (12, 3), got (16, 3)"),
    (load("lstm", proj=dict), VE, "weight_hr_l0|weight_hh_l0, expected (16, 4), got (16, 2)"),
    (load("gru", gru=transposed), VE, "wrong shape: weight_ih_l0, expected (12, 3), got (3, 12)"),
    (load("gru", gru=integers), VE, "not floating: bias_hh_l0|got int64"),
    (
        lambda b: load_torch_state_dict(b.gru, torch.nn.GRUCell(I, H).state_dict()),
        VE,
        "missing: weight_ih_l0|unexpected: weight_ih",
    ),
    (lambda b: load_safetensors(b.gru, __file__), VE, "a safetensors file|cannot be read"),
    (lambda b: from_torch(torch.nn.Conv1d(1, 1, 1)), TE, "from_torch: |got Conv1d"),
    (lambda b: to_torch(b.before), TE, "to_torch: |got jax_rnn.GRU"),
    (lambda b: to_torch(b.flax), TE, "to_torch: |got flax.Linear"),
    (lambda b: from_torch(torch.nn.GRU(I, H).state_dict()), TE, "from_torch: |OrderedDict"),
    (
        lambda b: from_torch(torch.nn.Sequential(*2 * [torch.nn.Linear(I, I)])),
        VE,
        "2 parameters in 4 places",
    ),
    (lambda b: to_torch(nnx.Sequential(b.linear, b.linear)), VE, "2 parameters in 4 places"),
    (lambda b: pack_padded_sequence(X, [5, 0]), VE, "every length|got [5 0]|lengths="),
    (
        lambda b: pack_padded_sequence(X, [T + 1, 3]),
        VE,
        "lengths from 0 to 5, the number of time steps",
    ),
    (lambda b: pack_padded_sequence(X, [3, 5]), VE, "descending order|[3 5]|enforce_sorted=False"),
    (lambda b: pack_padded_sequence(X, [5]), VE, "lengths of shape (2,)|got shape (1,)"),
    (lambda b: pack_padded_sequence(X, [5.0, 3.0]), TE, "lengths to be integers|got float64"),
    (lambda b: pack_padded_sequence(X[:, :0], np.zeros(0, int)), VE, "pack_padded_sequence: |got"),
    (lambda b: pack_padded_sequence(zeros(T), [5]), VE, "input|(T, B, ...)|got (5,)"),
    (
        lambda b: jax.jit(lambda lengths: pack_padded_sequence(X, lengths))(np.array([5, 3])),
        (TE, VE),
        "pack_padded_sequence: |jit|lengths=",
    ),
    (lambda b: pad_packed_sequence(b.packed, total_length=T - 1), VE, "total_length|least 5|got 4"),
    (train(steps=0), VE, "steps: |got 0"),
    (train(steps=-3), VE, "steps: |got -3"),
    (train(steps=2.0), TE, "steps: |got 2.0"),
    (train(steps=1, steps_per_call=0), VE, "steps_per_call: |got 0"),
    (lambda b: check_parity(torch.nn.GRU(I, H), b.gru, X), TE, "check_parity: |in this order"),
    (lambda b: check_parity(b.gru, torch.nn.GRU, X), TE, "check_parity: |got GRU and type"),
    (lambda b: check_parity(b.gru, torch.nn.GRU(I, H), X, steps=0), VE, "steps: |got 0"),
]


def calling(layer, x, options):
    return lambda b: getattr(b, layer)(x, **options)


def constructing(kind, *arguments, **options):
    return lambda b: kind(*arguments, **{"rngs": b.rngs} | options)


def option(kind, name, value, error):
    return constructing(kind, I, H, **{name: value}), error, f"{name}|got"


ROWS = [
    *((calling(layer, x, options), error, words) for layer, x, options, error, words in IN_JIT),
    *((constructing(kind, *sizes), error, words) for kind, sizes, error, words in SIZES),
    *(option(*row) for row in OPTIONS),
    *OTHERS,
]


def check(error, words, call):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of dropout where there is one layer
        message = refused(error, words, call)
    assert "expected" in message or "does not fit" in message


@pytest.mark.parametrize("row", range(len(ROWS)), ids=lambda k: ROWS[k][2][:40])
def test_is_refused_before_anything_is_compiled(row, b, compiled):
    call, error, words = ROWS[row]
    check(error, words, lambda: call(b))
    assert len(compiled) == 0


@cases("row", range(len(IN_JIT)), short=12, ids=lambda k: IN_JIT[k][4][:40])
def test_is_refused_with_the_same_words_inside_jit(row, b, compiled):
    layer, x, options, error, words = IN_JIT[row]
    check(error, words, lambda: jax.jit(lambda x: calling(layer, x, options)(b))(x))
    assert len(compiled) == 0


@pytest.mark.parametrize("row", range(len(STATES)), ids=lambda k: STATES[k][4][:40])
def test_a_state_that_is_data_inside_jit_is_refused_with_the_same_words(row, b, compiled):
    layer, x, hx, error, words = STATES[row]
    if not all(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(hx)):
        return
    run = jax.jit(lambda x, hx: getattr(b, layer)(x, hx))
    check(error, words.replace("int64", "int32"), lambda: run(x, hx))  # jit converts to int32
    assert len(compiled) == 0


def test_a_refused_state_dict_changes_nothing(b):
    before = torch_state_dict(b.gru)
    with pytest.raises(ValueError, match="missing: bias_hh_l0"):
        load_torch_state_dict(b.gru, {"weight_ih_l0": before["weight_ih_l0"] + 1})
    for name, value in torch_state_dict(b.gru).items():
        assert (value == before[name]).all(), name
