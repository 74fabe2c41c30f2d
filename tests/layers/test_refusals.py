"""What is refused: with which error and words, before anything is compiled, inside jit as outside.

A message says what was expected, what came and, where the first does not say it, what to do.
"""

import warnings
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
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
from jax_rnn.lecture.compare.parity import compare
from jax_rnn.lecture.lessons import UnknownLessonError, load
from jax_rnn.scans import Checkpointed, Sequential
from jax_rnn.testing import check_parity
from rnn_lecture.recipe import WordRecipe
from tests.kit import cases

torch = pytest.importorskip("torch")

I, H, P, B, T = 3, 4, 2, 2, 5  # noqa: E741

pytestmark = pytest.mark.usefixtures("unchecked")


def rngs():
    return nnx.Rngs(0)


@pytest.fixture(scope="module")
def built():
    """The objects that the refused calls use, built once."""
    cell = SimpleNamespace(
        gru=GRUCell(I, H, rngs=rngs()),
        upper=GRUCell(H, H, rngs=rngs()),
        wide=GRUCell(I, 6, rngs=rngs()),
        lstm=LSTMCell(I, H, rngs=rngs()),
        half_upper=GRUCell(H, H, dtype="bfloat16", rngs=rngs()),
        linear=Linear(I, H, rngs=rngs()),
        flax=nnx.Linear(I, H, rngs=rngs()),
    )
    found = SimpleNamespace(
        cell=cell,
        rnn=RNN(I, H, rngs=rngs()),
        gru=GRU(I, H, rngs=rngs()),
        lstm=LSTM(I, H, rngs=rngs()),
        proj=LSTM(I, H, proj_size=P, rngs=rngs()),
        stack=GRU(I, H, 3, batch_first=True, rngs=rngs()),
        both=LSTM(I, H, bidirectional=True, rngs=rngs()),
        turned=GRU(I, H, batch_first=True, rngs=rngs()),
        dropping=GRU(I, H, 2, dropout=0.5, rngs=rngs()),
        before=GRU(I, H, reset_after=False, rngs=rngs()),
        streams=nnx.Rngs(params=0),
        keys=jax.random.split(jax.random.key(0)),
        rngs=rngs(),
    )
    found.state = {
        name: torch_state_dict(getattr(found, name)) for name in ("gru", "lstm", "proj", "both")
    }
    found.packed = pack_padded_sequence(zeros(T, B, I), [5, 3])
    return found


@pytest.fixture
def compiled(built):
    """The programs that a test compiles, one entry each; the list starts empty."""
    found = []

    def listen(event, duration, **_):
        if event.endswith("backend_compile_duration"):
            found.append(event)

    jax.clear_caches()
    jax.monitoring.register_event_duration_secs_listener(listen)
    yield found
    jax.monitoring.unregister_event_duration_listener(listen)


def zeros(*shape, dtype=np.float32):
    return np.zeros(shape, dtype)


class Call(NamedTuple):
    """A layer is called: ``built.<layer>(input, **options)``."""

    layer: str
    input: Any
    options: dict[str, Any] | None = None
    inside_jit: bool = True

    def __call__(self, built, input=None):
        input = self.input if input is None else input
        options = {name: f(built) if callable(f) else f for name, f in (self.options or {}).items()}
        return getattr(built, self.layer)(input, **options)


class Refusal(NamedTuple):
    """A call: ``do(built)``."""

    do: Callable[[Any], Any]
    error: type[Exception]
    words: tuple[str, ...]


X = zeros(T, B, I)
h = zeros(1, B, H)


def input(layer, input, error, *words, **options):
    return Refusal(Call(layer, input, **options), error, words)


def hx(layer, hx, error, *words, input=X, **options):
    return Refusal(Call(layer, input, {"hx": hx}, **options), error, words)


def lengths(lengths, error, *words, layer="gru", input=X):
    return Refusal(Call(layer, input, {"lengths": lengths}), error, words)


def construct(layer, *options, refused, error, words, **keywords):
    def do(built):
        return layer(*options, **{"rngs": built.rngs} | keywords)

    return Refusal(do, error, (refused, *words))


INT, SIZE = "expected an int", "expected at least 1"

INPUTS = {
    "input of rank 0": input(
        "gru", zeros(), ValueError, "GRU: expected an input of shape (T, B, I)", "got ()"
    ),
    "input of rank 1": input(
        "gru",
        zeros(I),
        ValueError,
        "GRU: expected an input of shape (T, B, I), or (T, I) without a batch",
        "got (3,)",
    ),
    "input of rank 1, batch first": input(
        "turned", zeros(I), ValueError, "GRU: expected an input of shape (B, T, I)", "got (3,)"
    ),
    "input with too many features": input(
        "rnn", zeros(T, B, 7), ValueError, "RNN: expected 3 input features, got 7", "last axis"
    ),
    "input with features before time": input(
        "lstm", zeros(B, I, T), ValueError, "expected 3 input features, got 5", "last axis"
    ),
    "input without a batch, wrong features": input(
        "gru", zeros(T, 2), ValueError, "expected 3 input features, got 2", "last axis"
    ),
    "input of integers": input(
        "lstm",
        zeros(T, B, I, dtype=np.int32),
        ValueError,
        "LSTM: expected an input of dtype float32",
        "got int32",
        ".astype",
    ),
    "input of truth values": input(
        "gru", zeros(T, B, I, dtype=bool), ValueError, "dtype float32", "got bool", ".astype"
    ),
    "input of complex numbers": input(
        "gru", zeros(T, B, I, dtype=np.complex64), ValueError, "float32", "got complex64", ".astype"
    ),
    "input in half precision": input(
        "gru", zeros(T, B, I, dtype=np.float16), ValueError, "float32", "got float16", ".astype"
    ),
    "input in double precision": input(
        "gru",
        zeros(T, B, I, dtype=np.float64),
        ValueError,
        "dtype float32",
        "got float64",
        ".astype",
        inside_jit=False,  # jit itself makes float32 of it
    ),
    "input that is a list": input(
        "gru", X.tolist(), TypeError, "GRU: expected the input to be an array", "a list", "asarray"
    ),
    "input that is a tensor of torch": input(
        "gru",
        torch.zeros(T, B, I),
        TypeError,
        "GRU: expected the input to be an array",
        "got a",
        "torch",
        "jnp.asarray",
        inside_jit=False,
    ),
    "input that is a packed sequence": Refusal(
        lambda built: built.gru(built.packed),
        TypeError,
        ("GRU: expected the input to be an array", "got a PackedSequence", "lengths="),
    ),
    "input without steps": input(
        "gru",
        zeros(0, B, I),
        ValueError,
        "expected at least one time step",
        "got none",
        "(0, 2, 3)",
    ),
    "input without steps, batch first": input(
        "turned", zeros(B, 0, I), ValueError, "at least one time step", "got none", "(2, 0, 3)"
    ),
    "input without steps or batch": input(
        "gru", zeros(0, I), ValueError, "at least one time step", "got none", "(0, 3)"
    ),
}

STATES = {
    "hx of another batch": hx(
        "gru",
        zeros(1, 3, H),
        ValueError,
        "GRU: expected h of hx to be a float32 array of shape (1, 2, 4)",
        "(layers * directions, batch, features)",
        "got a float32 array of shape (1, 3, 4)",
    ),
    "hx laid out batch first": hx(
        "stack",
        zeros(B, 3, H),
        ValueError,
        "shape (3, 2, 4)",
        "for any batch_first",
        "got a float32 array of shape (2, 3, 4)",
        input=zeros(B, T, I),
    ),
    "hx of too few layers": hx(
        "stack", h, ValueError, "shape (3, 2, 4)", "got a float32 array", input=zeros(B, T, I)
    ),
    "hx of one direction for two": hx(
        "both", (h, h), ValueError, "shape (2, 2, 4)", "layers * directions", "of shape (1, 2, 4)"
    ),
    "hx of another size": hx(
        "rnn", zeros(1, B, I), ValueError, "RNN: expected h of hx", "(1, 2, 4)", "shape (1, 2, 3)"
    ),
    "hx without a batch for an input with one": hx(
        "rnn", zeros(1, H), ValueError, "shape (1, 2, 4)", "got a float32 array of shape (1, 4)"
    ),
    "hx with a batch for an input without": hx(
        "rnn",
        zeros(1, 1, H),
        ValueError,
        "shape (1, 4)",
        "(layers * directions, features)",
        "got a float32 array of shape (1, 1, 4)",
        input=zeros(T, I),
    ),
    "hx in half precision": hx(
        "gru", h.astype(np.float16), ValueError, "a float32 array", "got a float16 array"
    ),
    "hx of integers": hx(
        "gru", h.astype(int), ValueError, "a float32 array", "int64 array of shape"
    ),
    "hx of a GRU that is a pair": hx(
        "gru", (h, h), TypeError, "GRU: expected h of hx to be an array", "got a tuple of 2"
    ),
    "hx of an RNN that is a list": hx(
        "rnn", h.tolist(), TypeError, "RNN: expected h of hx to be an array", "got a list of 1"
    ),
    "hx of a GRU that is a tensor of torch": hx(
        "gru", torch.zeros(1, B, H), TypeError, "expected h of hx to be an array", "got a", "torch"
    ),
    "hx of an LSTM that is an array": hx(
        "lstm", h, TypeError, "LSTM: expected hx to be a tuple (h, c)", "got a float32 array"
    ),
    "hx of an LSTM that is an array of two": hx(
        "lstm", zeros(2, B, H), TypeError, "hx to be a tuple (h, c)", "shape (2, 2, 4)"
    ),
    "hx of an LSTM with one state": hx(
        "lstm", (h,), TypeError, "expected hx to be a tuple (h, c)", "got a tuple of 1"
    ),
    "hx of an LSTM with three states": hx(
        "lstm", [h, h, h], TypeError, "expected hx to be a tuple (h, c)", "got a list of 3"
    ),
    "hx of an LSTM with nothing for c": hx(
        "lstm",
        (h, None),
        TypeError,
        "LSTM: expected c of hx to be an array of shape (1, 2, 4)",
        "None",
    ),
    "hx of an LSTM that is a word": hx(
        "lstm", "zeros", TypeError, "expected hx to be a tuple (h, c)", "got str"
    ),
    "hx of an LSTM that is a mapping": hx(
        "lstm", {"h": h, "c": h}, TypeError, "expected hx to be a tuple (h, c)", "got dict"
    ),
    "hx of an LSTM with a c of another size": hx(
        "lstm", (h, zeros(1, B, I)), ValueError, "LSTM: expected c of hx", "(1, 2, 4)", "(1, 2, 3)"
    ),
    "hx of a projected LSTM in the order (c, h)": hx(
        "proj",
        (h, zeros(1, B, P)),
        ValueError,
        "LSTM: expected h of hx to be a float32 array of shape (1, 2, 2)",
        "got a float32 array of shape (1, 2, 4)",
    ),
    "hx of a projected LSTM with h unprojected": hx(
        "proj", (h, h), ValueError, "expected h of hx", "shape (1, 2, 2)", "of shape (1, 2, 4)"
    ),
}

LENGTHS = {
    "lengths too few": lengths(
        np.array([5]), ValueError, "GRU: expected lengths of shape (2,)", "got shape (1,)"
    ),
    "lengths too many": lengths([5, 3, 1], ValueError, "lengths of shape (2,)", "got shape (3,)"),
    "lengths with an axis too many": lengths(
        [[5], [3]], ValueError, "lengths of shape (2,)", "got shape (2, 1)"
    ),
    "lengths of a batch that is not there": lengths(
        [5], ValueError, "lengths of shape ()", "got shape (1,)", input=zeros(T, I)
    ),
    "lengths of unequal depth": lengths(
        [[5], [3, 1]], (TypeError, ValueError), "GRU: expected lengths", "got", "one"
    ),
    "lengths that are floats": lengths(
        np.array([5.0, 3.0]), TypeError, "expected lengths to be integers", "got float64", ".astype"
    ),
    "lengths that are a mask": lengths(
        np.array([True, False]), TypeError, "lengths to be integers", "got bool", "whole number"
    ),
    "lengths that are words": lengths(
        ["5", "3"], TypeError, "GRU: expected lengths to be integers", "got <U1"
    ),
    "lengths with nothing for one sequence": lengths(
        [None, 3], TypeError, "GRU: expected lengths to be integers", "got object"
    ),
    "lengths above the steps": lengths(
        [T + 1, 3], ValueError, "expected lengths between 0 and the 5 time steps", "from 3 to 6"
    ),
    "lengths below zero": lengths(
        [T, -1], ValueError, "expected lengths between 0 and the 5 time steps", "from -1 to 5"
    ),
}

DROPOUT = {
    "dropout without rngs": Refusal(
        Call("dropping", X),
        ValueError,
        ("GRU: expected rngs", "dropout 0.5", "got none", "rngs=nnx.Rngs(dropout=seed)", ".eval()"),
    ),
    "dropout with a seed for rngs": Refusal(
        Call("dropping", X, {"rngs": 3}),
        TypeError,
        ("expected", "rngs", "got int", "nnx.Rngs(drop"),
    ),
    "dropout with several keys": Refusal(
        Call("dropping", X, {"rngs": lambda built: built.keys}),
        TypeError,
        ("GRU: expected rngs", "array of shape (2,)", "a key of jax.random.key"),
    ),
    "dropout with rngs of another stream": Refusal(
        Call("dropping", X, {"rngs": lambda built: built.streams}, inside_jit=False),
        (KeyError, ValueError),
        ("expected", "'dropout'", "nnx.Rngs(dropout=seed)"),
    ),
}

CALLS = INPUTS | STATES | LENGTHS | DROPOUT

SIZES = {
    f"{kind.__name__} with {refused} {value!r}": construct(
        kind,
        *((value, H) if refused == "input_size" else (I, value)),
        refused=f"{refused}: ",
        error=error,
        words=(message, f"got {value!r}"),
    )
    for kind in (GRU, LSTM, RNN, RNNCell)
    for refused, value, error, message in [
        ("input_size", 0, ValueError, SIZE),
        ("input_size", -1, ValueError, SIZE),
        ("input_size", 3.0, TypeError, INT),
        ("hidden_size", 0, ValueError, SIZE),
        ("hidden_size", 4.0, TypeError, INT),
        ("hidden_size", True, TypeError, INT),
        ("hidden_size", "4", TypeError, INT),
        ("hidden_size", None, TypeError, INT),
    ]
}

OPTIONS = {
    **{
        f"num_layers {value!r}": construct(
            LSTM, I, H, value, refused="num_layers: ", error=error, words=(words, f"got {value!r}")
        )
        for value, error, words in [
            (0, ValueError, SIZE),
            (-2, ValueError, SIZE),
            (True, TypeError, INT),
            (2.0, TypeError, INT),
            ("2", TypeError, INT),
        ]
    },
    **{
        f"dropout {value!r} of {num_layers} layers": construct(
            GRU,
            I,
            H,
            num_layers,
            dropout=value,
            refused="dropout: expected a number from 0 to 1",
            error=error,
            words=(f"got {value!r}",),
        )
        for num_layers in (1, 2)
        for value, error in [
            (True, TypeError),
            ("0.5", TypeError),
            (None, TypeError),
            (-0.1, ValueError),
            (1.5, ValueError),
            (float("nan"), ValueError),
        ]
    },
    **{
        f"proj_size {value!r} of {kind.__name__}": construct(
            kind,
            I,
            H,
            proj_size=value,
            refused="proj_size: expected",
            error=error,
            words=(f"got {value!r}", words),
        )
        for kind, value, error, words in [
            (GRU, P, ValueError, "only LSTM"),
            (RNN, P, ValueError, "only LSTM"),
            (LSTM, H, ValueError, "hidden_size = 4"),
            (LSTM, 9, ValueError, "hidden_size = 4"),
            (LSTM, -1, ValueError, "hidden_size = 4"),
            (LSTM, 1.5, TypeError, INT),
            (LSTM, True, TypeError, INT),
            (LSTM, "2", TypeError, INT),
            (LSTM, None, TypeError, INT),
            (LSTM, False, TypeError, INT),
            (ProjectedLSTMCell, 0, ValueError, "hidden_size = 4"),
        ]
    },
    **{
        f"nonlinearity {value!r}": construct(
            RNN,
            I,
            H,
            nonlinearity=value,
            refused="nonlinearity: expected one of ['relu', 'tanh']",
            error=(ValueError, TypeError),
            words=(f"got {value!r}",),
        )
        for value in ("gelu", None, ["tanh"])
    },
    **{
        f"init {value!r}": construct(
            GRU,
            I,
            H,
            init=value,
            refused="expected one of ['flax', 'torch'] or a Scheme",
            error=(ValueError, TypeError),
            words=(f"got {value!r}",),
        )
        for value in ("zeros", None, ["torch"])
    },
    **{
        f"dtype {value!r}": construct(
            GRU,
            I,
            H,
            dtype=value,
            refused="dtype: expected a floating type",
            error=(ValueError, TypeError),
            words=(f"got {value}",),
        )
        for value in ("int32", "complex64", "bool", "float12", "float8_e4m3fn")
    },
    "float64 where it is switched off": construct(
        GRU,
        I,
        H,
        dtype="float64",
        refused="dtype: expected JAX with float64 enabled",
        error=ValueError,
        words=("got the default, float32", "jax_enable_x64"),
    ),
    **{
        f"rngs {value!r}": construct(
            GRU,
            I,
            H,
            rngs=value,
            refused="rngs: expected",
            error=TypeError,
            words=(f"got {type(value).__name__}", "nnx.Rngs(seed)"),
        )
        for value in (0, None)
    },
    **{
        f"unroll {value!r}": Refusal(
            lambda built, value=value: Sequential(unroll=value),
            error,
            ("unroll: expected", f"got {value!r}"),
        )
        for value, error in [(0, ValueError), ("2", TypeError)]
    },
    **{
        f"checkpoints every {value!r}": Refusal(
            lambda built, value=value: Checkpointed(every=value),
            error,
            ("every: expected", f"got {value!r}"),
        )
        for value, error in [(0, ValueError), (2.0, TypeError)]
    },
    "unknown scan": construct(
        GRU,
        I,
        H,
        scan="fast",
        refused="scan: expected",
        error=ValueError,
        words=("'auto'", "'fast'", "chooses"),
    ),
    "gated scan of another cell": construct(
        GRU,
        I,
        H,
        reset_after=False,
        scan="gated",
        refused="scan='gated': expected a GatedCell",
        error=ValueError,
        words=("OriginalGRUCell", "scan='auto'"),
    ),
}

STACKS = {
    "no cells": Refusal(
        lambda built: Recurrent(), ValueError, ("Recurrent: expected at least one cell", "got none")
    ),
    "a layer for a cell": Refusal(
        lambda built: Recurrent(built.cell.linear),
        TypeError,
        ("Recurrent: expected cells, or pairs (forward, backward)", "got Linear"),
    ),
    "a class for a cell": Refusal(
        lambda built: Recurrent(GRUCell), TypeError, ("Recurrent: expected a cell", "got the class")
    ),
    "a list of cells": Refusal(
        lambda built: Recurrent([built.cell.gru, built.cell.upper]),
        TypeError,
        ("Recurrent: expected cells, or pairs (forward, backward)", "got list"),
    ),
    "cells whose sizes do not meet": Refusal(
        lambda built: Recurrent(built.cell.gru, built.cell.gru),
        ValueError,
        ("expected a cell with input_size 4", "got GRUCell with input_size 3"),
    ),
    "a cell above two directions that reads one": Refusal(
        lambda built: Recurrent(
            (built.cell.gru, built.cell.gru), (built.cell.upper, built.cell.upper)
        ),
        ValueError,
        ("expected a cell with input_size 8", "got GRUCell with input_size 4"),
    ),
    "one direction above two": Refusal(
        lambda built: Recurrent((built.cell.gru, built.cell.gru), built.cell.upper),
        ValueError,
        ("expected a cell with input_size 8", "got GRUCell with input_size 4"),
    ),
    "three directions": Refusal(
        lambda built: Recurrent((built.cell.gru,) * 3),
        ValueError,
        ("expected a cell, or a pair (forward, backward)", "got a tuple of 3"),
    ),
    "a backward cell of another input size": Refusal(
        lambda built: Recurrent((built.cell.gru, built.cell.upper)),
        ValueError,
        ("expected a cell with input_size 3", "got GRUCell with input_size 4"),
    ),
    "a layer of another dtype": Refusal(
        lambda built: Recurrent(built.cell.gru, built.cell.half_upper),
        ValueError,
        ("Recurrent: expected cells of one dtype", "float32", "bfloat16"),
    ),
    "a dropout that is no rate": Refusal(
        lambda built: Recurrent(built.cell.gru, dropout=2),
        ValueError,
        ("dropout: expected a number from 0 to 1", "got 2"),
    ),
}

CELLS = {
    "a cell's input with too many features": Refusal(
        lambda built: built.cell.gru(HiddenCarry(zeros(B, H)), zeros(B, 7)),
        ValueError,
        ("GRUCell: expected an input of shape (*batch, 3)", "got (2, 7)", "last axis"),
    ),
    "a cell's input of integers": Refusal(
        lambda built: built.cell.gru(HiddenCarry(zeros(B, H)), zeros(B, I, dtype=np.int32)),
        ValueError,
        ("GRUCell: expected an input of dtype float32", "got int32"),
    ),
    "a cell's input in half precision": Refusal(
        lambda built: built.cell.gru(HiddenCarry(zeros(B, H)), zeros(B, I, dtype=np.float16)),
        ValueError,
        ("GRUCell: expected an input of dtype float32", "got float16", ".astype"),
    ),
    "a cell's carry of integers": Refusal(
        lambda built: built.cell.gru(HiddenCarry(zeros(B, H, dtype=np.int32)), zeros(B, I)),
        ValueError,
        ("GRUCell: expected h of the carry to be a float32 array", "got an int32", ".astype"),
    ),
    "a cell's input that is a list": Refusal(
        lambda built: built.cell.gru(HiddenCarry(zeros(B, H)), [[0.0] * I] * B),
        TypeError,
        ("GRUCell: expected", "array", "got a list"),
    ),
    "a cell's carry of another size": Refusal(
        lambda built: built.cell.gru(HiddenCarry(zeros(B, 6)), zeros(B, I)),
        ValueError,
        ("GRUCell: expected h", "(2, 4)", "got", "(2, 6)"),
    ),
    "a cell's carry of another batch": Refusal(
        lambda built: built.cell.gru(HiddenCarry(zeros(1, H)), zeros(B, I)),
        ValueError,
        ("GRUCell: expected h", "(2, 4)", "got", "(1, 4)"),
    ),
    "a cell's carry of another kind": Refusal(
        lambda built: built.cell.lstm(HiddenCarry(zeros(B, H)), zeros(B, I)),
        TypeError,
        ("LSTMCell: expected", "LSTMCarry", "got a HiddenCarry"),
    ),
}

LOADING = {
    "a state dict with a name missing": Refusal(
        lambda built: load_torch_state_dict(
            built.gru, {k: v for k, v in built.state["gru"].items() if k != "bias_ih_l0"}
        ),
        ValueError,
        ("does not fit GRU", "expected the names and shapes", "missing: bias_ih_l0"),
    ),
    "a state dict with a name too many": Refusal(
        lambda built: load_torch_state_dict(built.gru, {**built.state["gru"], "weight_ih_l1": h}),
        ValueError,
        ("does not fit GRU", "expected the names and shapes", "unexpected: weight_ih_l1"),
    ),
    "a state dict of two directions for one": Refusal(
        lambda built: load_torch_state_dict(built.lstm, built.state["both"]),
        ValueError,
        ("does not fit LSTM", "unexpected: weight_hh_l0_reverse"),
    ),
    "a state dict of another kind of layer": Refusal(
        lambda built: load_torch_state_dict(built.gru, built.state["lstm"]),
        ValueError,
        ("does not fit GRU", "wrong shape: weight_ih_l0, expected (12, 3), got (16, 3)"),
    ),
    "a state dict with a projection": Refusal(
        lambda built: load_torch_state_dict(built.lstm, built.state["proj"]),
        ValueError,
        ("unexpected: weight_hr_l0", "wrong shape: weight_hh_l0, expected (16, 4), got (16, 2)"),
    ),
    "a state dict turned on its side": Refusal(
        lambda built: load_torch_state_dict(
            built.gru, {name: np.transpose(value) for name, value in built.state["gru"].items()}
        ),
        ValueError,
        ("wrong shape: weight_ih_l0, expected (12, 3), got (3, 12)",),
    ),
    "a state dict of integers": Refusal(
        lambda built: load_torch_state_dict(
            built.gru, {name: value.astype(int) for name, value in built.state["gru"].items()}
        ),
        ValueError,
        ("not floating: bias_hh_l0", "got int64"),
    ),
    "a file that is no safetensors": Refusal(
        lambda built: load_safetensors(built.gru, __file__),
        ValueError,
        ("expected a safetensors file", "got one that cannot be read", "save_safetensors"),
    ),
    "a module that has no counterpart here": Refusal(
        lambda built: from_torch(torch.nn.Conv1d(1, 1, 1)),
        TypeError,
        ("from_torch: expected one of RNN", "got Conv1d", "load_torch_state_dict"),
    ),
    "a layer that has no counterpart in torch": Refusal(
        lambda built: to_torch(built.before),
        TypeError,
        ("to_torch: expected one of", "got jax_rnn.GRU"),
    ),
    "Flax's Linear, which is not ours": Refusal(
        lambda built: to_torch(built.cell.flax),
        TypeError,
        ("to_torch: expected one of", "got flax.Linear"),
    ),
    "a state dict for a module": Refusal(
        lambda built: from_torch(torch.nn.GRU(I, H).state_dict()),
        TypeError,
        ("from_torch: expected a torch.nn.Module", "got OrderedDict"),
    ),
    "a torch module that stands in two places": Refusal(
        lambda built: from_torch(torch.nn.Sequential(*2 * [torch.nn.Linear(I, I)])),
        ValueError,
        ("from_torch: expected every parameter in one place", "got 2 in 4 places"),
    ),
    "a module of ours that stands in two places": Refusal(
        lambda built: to_torch(nnx.Sequential(built.cell.linear, built.cell.linear)),
        ValueError,
        ("to_torch: expected every parameter in one place", "got 2 in 4 places"),
    ),
}


def no_loss(model, batch):
    raise AssertionError("reached")


def steps(steps, error, *words, **options):
    return Refusal(
        lambda built: fit(built.gru, no_loss, X, steps=steps, optimizer=optax.sgd(1.0), **options),
        error,
        words,
    )


TRAINING = {
    "no steps": steps(0, ValueError, "steps: expected at least 1", "got 0"),
    "steps below zero": steps(-3, ValueError, "steps: expected at least 1", "got -3"),
    "steps that are a float": steps(2.0, TypeError, "steps: expected an int", "got 2.0"),
    "no steps per call": steps(
        1, ValueError, "steps_per_call: expected at least 1", "got 0", steps_per_call=0
    ),
    "steps per call below zero": steps(
        1, ValueError, "steps_per_call: expected at least 1", "got -1", steps_per_call=-1
    ),
    "an unknown lesson": Refusal(
        lambda built: load("ihelo"),
        UnknownLessonError,
        ("unknown lesson 'ihelo'", "did you mean 'ihello'", "lstm_by_hand"),
    ),
    "an unknown variant": Refusal(
        lambda built: load("ihello").build(WordRecipe(variant="lstmm"), rngs=built.rngs),
        ValueError,
        ("ihello has no variant 'lstmm'", "expected one of: "),
    ),
    "a variant of a lesson that has none": Refusal(
        lambda built: load("softmax").build(WordRecipe(variant="gru"), rngs=built.rngs),
        ValueError,
        ("softmax has no variant 'gru'", "expected one of: none"),
    ),
    "an unknown dtype": Refusal(
        lambda built: compare("ihello", dtype="float16"),
        ValueError,
        ("dtype: expected float32 or float64", "got 'float16'"),
    ),
}

PACKING = {
    "packing a length of zero": Refusal(
        lambda built: pack_padded_sequence(X, [5, 0]),
        ValueError,
        ("pack_padded_sequence: expected every length to be at least 1", "got [5 0]", "lengths="),
    ),
    "packing a length above the steps": Refusal(
        lambda built: pack_padded_sequence(X, [T + 1, 3]),
        ValueError,
        ("pack_padded_sequence: expected lengths between 0 and the 5 time steps", "from 3 to 6"),
    ),
    "packing lengths that rise": Refusal(
        lambda built: pack_padded_sequence(X, [3, 5]),
        ValueError,
        (
            "pack_padded_sequence: expected lengths in descending order",
            "got [3 5]",
            "enforce_sorted=False",
        ),
    ),
    "packing too few lengths": Refusal(
        lambda built: pack_padded_sequence(X, [5]),
        ValueError,
        ("pack_padded_sequence: expected lengths of shape (2,)", "got shape (1,)"),
    ),
    "packing lengths that are floats": Refusal(
        lambda built: pack_padded_sequence(X, [5.0, 3.0]),
        TypeError,
        ("pack_padded_sequence: expected lengths to be integers", "got float64", ".astype"),
    ),
    "packing no sequences": Refusal(
        lambda built: pack_padded_sequence(X[:, :0], np.zeros(0, int)),
        ValueError,
        ("pack_padded_sequence: expected", "got"),
    ),
    "packing a vector": Refusal(
        lambda built: pack_padded_sequence(zeros(T), [5]),
        ValueError,
        ("pack_padded_sequence: expected an input of shape (T, B, ...)", "got (5,)"),
    ),
    "packing inside jit": Refusal(
        lambda built: jax.jit(lambda lengths: pack_padded_sequence(X, lengths))(np.array([5, 3])),
        (TypeError, ValueError),
        ("pack_padded_sequence: expected", "jit", "lengths="),
    ),
    "padding back to fewer steps than there are": Refusal(
        lambda built: pad_packed_sequence(built.packed, total_length=T - 1),
        ValueError,
        ("pad_packed_sequence: expected total_length to be at least 5", "got 4"),
    ),
}

FEEDFORWARD = {
    f"{kind.__name__} with {refused} {value!r}": construct(
        kind,
        *((value, H) if refused in ("in_features", "num_embeddings") else (I, value)),
        refused=f"{refused}: ",
        error=error,
        words=(message, f"got {value!r}"),
    )
    for kind, refused, value, error, message in [
        (Linear, "in_features", 0, ValueError, SIZE),
        (Linear, "in_features", 3.0, TypeError, INT),
        (Linear, "out_features", -1, ValueError, SIZE),
        (Embedding, "num_embeddings", 0, ValueError, SIZE),
        (Embedding, "embedding_dim", True, TypeError, INT),
    ]
} | {
    f"{kind.__name__} in {dtype}": construct(
        kind,
        I,
        H,
        dtype=dtype,
        refused="dtype: expected",
        error=ValueError,
        words=("got",),
    )
    for kind in (Linear, Embedding)
    for dtype in ("int32", "float64")
}

PARITY = {
    "modules in torch's place and the other way round": Refusal(
        lambda built: check_parity(torch.nn.GRU(I, H), built.gru, X),
        TypeError,
        ("check_parity: expected a JAX module and a torch module", "in this order", "got GRU"),
    ),
    "a class for a torch module": Refusal(
        lambda built: check_parity(built.gru, torch.nn.GRU, X),
        TypeError,
        ("check_parity: expected a JAX module and a torch module", "got GRU and type"),
    ),
    "no steps of the optimizer": Refusal(
        lambda built: check_parity(built.gru, torch.nn.GRU(I, H), X, steps=0),
        ValueError,
        ("steps: expected at least 1", "got 0"),
    ),
}

REFUSALS = CALLS | SIZES | FEEDFORWARD | OPTIONS | STACKS | CELLS | LOADING | PACKING
REFUSALS |= TRAINING | PARITY


def test_there_are_many():
    assert len(REFUSALS) >= 100


def refused(refusal, do):
    """The message of the error, after a check of its type."""
    with pytest.raises(refusal.error) as caught, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of dropout where there is one layer
        do()
    return str(caught.value)


def check_words(refusal, message):
    missing = [word for word in refusal.words if word not in message]
    assert not missing, f"not in the message: {missing}\n{message}"


@pytest.mark.parametrize("name", REFUSALS)
def test_refused_in_words(name, built):
    refusal = REFUSALS[name]
    check_words(refusal, refused(refusal, lambda: refusal.do(built)))


@pytest.mark.parametrize("name", REFUSALS)
def test_refused_before_anything_is_compiled(name, built, compiled):
    refusal = REFUSALS[name]
    refused(refusal._replace(error=Exception), lambda: refusal.do(built))
    assert len(compiled) == 0


INSIDE_JIT = [name for name, row in CALLS.items() if getattr(row.do, "inside_jit", False)]


@cases("name", INSIDE_JIT, short=12)
def test_refused_with_the_same_words_inside_jit(name, built, compiled):
    refusal = CALLS[name]
    run = jax.jit(lambda x: refusal.do(built, x))
    check_words(refusal, refused(refusal, lambda: run(refusal.do.input)))
    assert len(compiled) == 0


ARRAYS = [
    name
    for name, row in STATES.items()
    if all(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(row.do.options["hx"]))
]


@pytest.mark.parametrize("name", ARRAYS)
def test_a_state_that_is_data_inside_jit_is_refused_with_the_same_words(name, built, compiled):
    refusal, call = STATES[name], STATES[name].do
    run = jax.jit(lambda x, hx: getattr(built, call.layer)(x, hx))
    message = refused(refusal, lambda: run(call.input, call.options["hx"]))
    check_words(refusal, message.replace("int32", "int64"))  # jit converts what it is given
    assert len(compiled) == 0


# Limits that are accepted


def test_an_empty_batch_is_accepted(built):
    output, h_n = built.gru(jnp.zeros((T, 0, I)), lengths=np.zeros(0, int))
    assert (output.shape, h_n.shape) == ((T, 0, H), (1, 0, H))
    theirs = torch.nn.GRU(I, H)(torch.zeros(T, 0, I))
    assert tuple(tuple(leaf.shape) for leaf in theirs) == (output.shape, h_n.shape)


def test_states_may_come_as_a_list_or_by_name(built):
    expected = built.lstm(jnp.asarray(X), (h, h + 1))
    for hx in ([h, h + 1], LSTMCarry(h=h, c=h + 1)):
        output, states = built.lstm(jnp.asarray(X), hx)
        assert (output == expected[0]).all()
        assert all((a == b).all() for a, b in zip(states, expected[1], strict=True))


def test_a_refused_state_dict_changes_nothing(built):
    before = torch_state_dict(built.gru)
    with pytest.raises(ValueError, match="missing: bias_hh_l0"):
        load_torch_state_dict(built.gru, {"weight_ih_l0": before["weight_ih_l0"] + 1})
    for name, value in torch_state_dict(built.gru).items():
        assert (value == before[name]).all(), name
