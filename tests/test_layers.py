"""Layers against torch.nn: values, states, every gradient, the constructors, the refusals."""

import inspect
import re
from functools import cache, partial
from itertools import product
from typing import Any, NamedTuple, get_overloads

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jax_rnn import (
    GRU,
    LSTM,
    RNN,
    GRUCell,
    LSTMCell,
    Recurrent,
    RNNCell,
    load_torch_state_dict,
    torch_state_dict,
)

torch = pytest.importorskip("torch")

I, H, B, T = 3, 4, 2, 5  # noqa: E741

LAYERS = {
    "tanh": (RNN, torch.nn.RNN),
    "relu": (partial(RNN, nonlinearity="relu"), partial(torch.nn.RNN, nonlinearity="relu")),
    "lstm": (LSTM, torch.nn.LSTM),
    "gru": (GRU, torch.nn.GRU),
}
every_layer = pytest.mark.parametrize("kind", LAYERS)


@cache
def normal(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape)


class Case(NamedTuple):
    """How a layer is called."""

    batch_first: bool
    batched: bool
    hx: bool

    def sequence(self, time_major):
        """(T, B, features) as this case lays it out."""
        if not self.batched:
            return time_major[:, 0]
        return np.swapaxes(time_major, 0, 1) if self.batch_first else time_major

    def state(self, leaf):
        """(L, B, H) as this case lays it out."""
        return leaf if self.batched else leaf[:, 0]

    def data(self, kind, layers, dtype):
        """Input, hx, and cotangents of output and h_n."""
        fields = range(2 if kind == "lstm" else 1)
        hx, dstate = (
            tuple(self.state(normal(layers, B, H, seed=s + k).astype(dtype)) for k in fields)
            for s in (1, 3)
        )
        x, dy = (self.sequence(normal(T, B, size, seed=5).astype(dtype)) for size in (I, H))
        return x, hx if self.hx else None, dy, dstate


CASES = [
    Case(batch_first, batched, hx)
    for (batch_first, batched), hx in product(
        [(False, True), (True, True), (True, False)], [False, True]
    )
]
SOME_CASES = [CASES[k] for k in (1, 2, 5)]
"""Every layout; with hx and without."""


def as_argument(state):
    """A tuple of states as torch.nn takes and returns it: a single one bare."""
    return state[0] if state is not None and len(state) == 1 else state


def theirs(kind, module, case, dtype):
    x, hx, dy, dstate = case.data(kind, module.num_layers, dtype)
    x, dy, hx, dstate = jax.tree.map(torch.tensor, (np.array(x), np.array(dy), hx, dstate))
    leaves = [x, *(hx or ())]
    for leaf in leaves:
        leaf.requires_grad_()
    module.zero_grad()
    module.batch_first = case.batch_first
    output, h_n = module(x, as_argument(hx))
    states = h_n if isinstance(h_n, tuple) else (h_n,)
    torch.autograd.backward([output, *states], [dy, *dstate])
    numpy = partial(jax.tree.map, lambda leaf: leaf.detach().numpy())
    weights = {name: value.grad.clone().numpy() for name, value in module.named_parameters()}
    return numpy([output, *states]), numpy([leaf.grad for leaf in leaves]), weights


def ours(kind, layers, case, dtype):
    """``(layers in both layouts) -> value and gradients``, to be compiled."""
    x, hx, dy, dstate = case.data(kind, len(layers[False].cells), dtype)
    out, vjp = jax.vjp(
        lambda layer, x, hx: layer(x, hx), layers[case.batch_first], x, as_argument(hx)
    )
    dlayer, dx, dhx = vjp(jax.tree.unflatten(jax.tree.structure(out), (dy, *dstate)))
    return out, jax.tree.leaves((dx, dhx)), nnx.state(dlayer)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("num_layers", [1, 2, 3])
@every_layer
def test_values_states_and_gradients_are_torchs(kind, num_layers, bias, x64, close):
    cases = CASES if bias and kind != "relu" else SOME_CASES
    check_parity(kind, num_layers, bias, cases, np.float64, partial(close, tolerance=1e-11))


@every_layer
def test_float32_is_torchs_to_a_few_roundings(kind, close):
    # One rounding is 6e-8 of a value. Gradients of two layers over five steps add up some
    # hundred products of size up to about ten, rounded in another order by the other library.
    check_parity(kind, 2, True, SOME_CASES, np.float32, partial(close, tolerance=1e-5))


def check_parity(kind, num_layers, bias, cases, dtype, close):
    build, reference = LAYERS[kind]
    torch.manual_seed(num_layers)
    module = reference(I, H, num_layers, bias=bias).to(getattr(torch, np.dtype(dtype).name))
    layers = {
        batch_first: build(I, H, num_layers, bias=bias, batch_first=batch_first, rngs=nnx.Rngs(1))
        for batch_first in (False, True)
    }
    for layer in layers.values():
        load_torch_state_dict(layer, module.state_dict())

    run = jax.jit(lambda layers: [ours(kind, layers, case, dtype) for case in cases])
    for case, (out, inputs, state) in zip(cases, run(layers), strict=True):
        weights = torch_state_dict(layers[False], state)
        assert out[0].dtype == dtype
        result = (jax.tree.leaves(out), inputs, weights)
        close(result, theirs(kind, module, case, dtype))


@pytest.mark.parametrize(
    ("layer", "module"),
    [
        (RNN, torch.nn.RNN),
        (LSTM, torch.nn.LSTM),
        (GRU, torch.nn.GRU),
        (RNNCell, torch.nn.RNNCell),
        (LSTMCell, torch.nn.LSTMCell),
        (GRUCell, torch.nn.GRUCell),
    ],
)
def test_options_have_torchs_order_and_defaults(layer, module):
    def options(init):
        return [
            (p.name, p.default)
            for p in inspect.signature(init).parameters.values()
            if p.kind is p.POSITIONAL_OR_KEYWORD and p.name not in ("self", "device", "dtype")
        ]

    documented = (get_overloads(module.__init__) or [module.__init__])[0]
    here = options(layer.__init__)
    assert here == options(documented)[: len(here)]
    assert len(here) >= 3


@pytest.mark.parametrize("kind", ["tanh", "lstm", "gru"])
def test_batch_of_three_with_one_layer_takes_one_state_a_sequence(kind, unchecked):
    layer = LAYERS[kind][0](I, H, batch_first=True, rngs=nnx.Rngs(0))
    fields = 2 if kind == "lstm" else 1
    input = jnp.asarray(normal(3, T, I), jnp.float32)
    hx = [jnp.asarray(normal(1, 3, H, seed=k), jnp.float32) for k in range(fields)]
    output, h_n = layer(input, as_argument(tuple(hx)))
    assert output.shape == (3, T, H)
    assert all(leaf.shape == (1, 3, H) for leaf in jax.tree.leaves(h_n))
    turned = [leaf.swapaxes(0, 1) for leaf in hx]
    with pytest.raises(ValueError, match=r"shape \(1, 3, 4\).*got a float32 array of shape \(3, 1"):
        layer(input, as_argument(tuple(turned)))


def test_unrolled_layer_gives_the_same(x64, close):
    plain, unrolled = (LSTM(I, H, 2, unroll=unroll, rngs=nnx.Rngs(0)) for unroll in (1, 3))
    x = jnp.asarray(normal(T, B, I))
    close(unrolled(x), plain(x))


def test_recurrent_of_cells_is_the_layer_of_that_name(x64, close):
    layer = GRU(I, H, 2, rngs=nnx.Rngs(0))
    x, hx = jnp.asarray(normal(T, B, I)), jnp.asarray(normal(2, B, H))
    close(Recurrent(*layer.cells)(x, hx), layer(x, hx))
    below, hidden = Recurrent(layer.cells[0])(x, hx[:1])
    above, further = Recurrent(layer.cells[1])(below, hx[1:])
    close((above, jnp.concatenate([hidden, further])), layer(x, hx))


def test_layer_knows_its_sizes():
    layer = Recurrent(GRUCell(I, H, rngs=nnx.Rngs(0)), GRUCell(H, H, rngs=nnx.Rngs(1)))
    assert (layer.num_layers, layer.input_size, layer.hidden_size) == (2, I, H)


@cache
def layer_of(name, num_layers=1, batch_first=False):
    build = {"rnn": RNN, "lstm": LSTM, "gru": GRU}[name]
    return build(I, H, num_layers, batch_first=batch_first, rngs=nnx.Rngs(0))


def zeros(*shape, dtype: Any = np.float32):
    return np.zeros(shape, dtype)


class Refusal(NamedTuple):
    """A call that is refused, with which error and words."""

    layer: Recurrent
    input: np.ndarray
    hx: object
    error: type[Exception]
    words: str


X = zeros(T, B, I)
REFUSALS = {
    "a vector": Refusal(
        layer_of("gru"),
        zeros(I),
        None,
        ValueError,
        "GRU: expected an input of shape (T, B, I), or (T, I) without a batch, got (3,)",
    ),
    "features": Refusal(
        layer_of("rnn"), zeros(T, B, 7), None, ValueError, "RNN: expected 3 input features, got 7"
    ),
    "features before time": Refusal(
        layer_of("gru"), zeros(I, T), None, ValueError, "expected 3 input features, got 5"
    ),
    "no steps": Refusal(
        layer_of("gru"), zeros(0, B, I), None, ValueError, "at least one time step, got none"
    ),
    "no steps, batch first": Refusal(
        layer_of("gru", batch_first=True),
        zeros(B, 0, I),
        None,
        ValueError,
        "at least one time step, got none",
    ),
    "no steps, no batch": Refusal(
        layer_of("gru"), zeros(0, I), None, ValueError, "at least one time step, got none"
    ),
    "integers": Refusal(
        layer_of("lstm"),
        zeros(T, B, I, dtype=np.int32),
        None,
        ValueError,
        "LSTM: expected an input of dtype float32, that of the parameters, got int32; cast",
    ),
    "half precision": Refusal(
        layer_of("gru"),
        zeros(T, B, I, dtype=np.float16),
        None,
        ValueError,
        "expected an input of dtype float32, that of the parameters, got float16; cast",
    ),
    "state of the wrong batch": Refusal(
        layer_of("gru"),
        X,
        zeros(1, 3, H),
        ValueError,
        "GRU: expected h of hx to be a float32 array of shape (1, 2, 4), "
        "(layers * directions, batch, features)"
        " whatever batch_first says, got a float32 array of shape (1, 3, 4)",
    ),
    "state laid out batch first": Refusal(
        layer_of("gru", 3, batch_first=True),
        zeros(B, T, I),
        zeros(B, 3, H),
        ValueError,
        "shape (3, 2, 4), "
        "(layers * directions, batch, features) whatever batch_first says, got a float32 array"
        " of shape (2, 3, 4)",
    ),
    "state of too few layers": Refusal(
        layer_of("lstm", 3),
        X,
        (zeros(2, B, H), zeros(3, B, H)),
        ValueError,
        "LSTM: expected h of hx to be a float32 array of shape (3, 2, 4)",
    ),
    "cell state of the wrong size": Refusal(
        layer_of("lstm"),
        X,
        (zeros(1, B, H), zeros(1, B, I)),
        ValueError,
        "expected c of hx to be a float32 array of shape (1, 2, 4), "
        "(layers * directions, batch, features)"
        " whatever batch_first says, got a float32 array of shape (1, 2, 3)",
    ),
    "batched state for unbatched input": Refusal(
        layer_of("rnn"),
        zeros(T, I),
        zeros(1, 1, H),
        ValueError,
        "shape (1, 4), "
        "(layers * directions, features) whatever batch_first says, got a float32 array of shape"
        " (1, 1, 4)",
    ),
    "unbatched state for batched input": Refusal(
        layer_of("rnn"), X, zeros(1, H), ValueError, "shape (1, 2, 4)"
    ),
    "state of another dtype": Refusal(
        layer_of("gru"),
        X,
        zeros(1, B, H, dtype=np.float16),
        ValueError,
        "to be a float32 array of shape (1, 2, 4), "
        "(layers * directions, batch, features) whatever batch_first"
        " says, got a float16 array of shape (1, 2, 4)",
    ),
    "pair for a GRU": Refusal(
        layer_of("gru"),
        X,
        (zeros(1, B, H), zeros(1, B, H)),
        TypeError,
        "GRU: expected h of hx to be an array of shape (1, 2, 4), got a tuple of 2",
    ),
    "array for an LSTM": Refusal(
        layer_of("lstm"),
        X,
        zeros(1, B, H),
        TypeError,
        "LSTM: expected hx to be a tuple (h, c), got a float32 array of shape (1, 2, 4)",
    ),
    "array of two for an LSTM": Refusal(
        layer_of("lstm", 2), X, zeros(2, B, H), TypeError, "hx to be a tuple (h, c), got a float32"
    ),
    "half a pair": Refusal(
        layer_of("lstm"), X, (zeros(1, B, H),), TypeError, "a tuple (h, c), got a tuple of 1"
    ),
    "pair of nothing": Refusal(
        layer_of("lstm"), X, (None, None), TypeError, "array of shape (1, 2, 4), got NoneType"
    ),
    "word": Refusal(layer_of("lstm"), X, "zeros", TypeError, "a tuple (h, c), got str"),
}


@pytest.mark.parametrize("name", REFUSALS)
@pytest.mark.usefixtures("unchecked")
def test_refused_with_the_same_words_inside_jit(name):
    layer, input, hx, error, words = REFUSALS[name]
    with pytest.raises(error, match=re.escape(words)):
        layer(jnp.asarray(input), hx)
    with pytest.raises(error, match=re.escape(words)):
        jax.jit(lambda layer, input: layer(input, hx))(layer, input)


def gru_cell(*sizes):
    return GRUCell(*sizes, rngs=nnx.Rngs(0))


@pytest.mark.parametrize(
    ("layer", "arguments", "options", "error", "words"),
    [
        (GRU, (I, H, 0), {}, ValueError, "num_layers: expected at least 1, got 0"),
        (RNN, (I, H, -2), {}, ValueError, "num_layers: expected at least 1, got -2"),
        (LSTM, (I, H, True), {}, TypeError, "num_layers: expected an int, got True"),
        (GRU, (I, H, 2.0), {}, TypeError, "num_layers: expected an int, got 2.0"),
        (GRU, (0, H), {}, ValueError, "input_size: expected at least 1, got 0"),
        (LSTM, (I, 4.0), {}, TypeError, "hidden_size: expected an int, got 4.0"),
        (
            RNN,
            (I, H),
            {"nonlinearity": "gelu"},
            ValueError,
            "nonlinearity: expected one of ['relu', 'tanh'], got 'gelu'",
        ),
        (GRU, (I, H), {"init": "zeros"}, ValueError, "['flax', 'torch'] or a Scheme, got 'zeros'"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_options_are_refused(layer, arguments, options, error, words):
    with pytest.raises(error, match=re.escape(words)):
        layer(*arguments, rngs=nnx.Rngs(0), **options)


@pytest.mark.parametrize(
    ("cells", "error", "words"),
    [
        ([], ValueError, "Recurrent: expected at least one cell, got none"),
        (
            [nnx.Linear(I, H, rngs=nnx.Rngs(0))],
            TypeError,
            "Recurrent: expected cells, or pairs (forward, backward) of them, got Linear",
        ),
        ([GRUCell], TypeError, "of them, got "),
        (
            [gru_cell(I, H), gru_cell(I, H)],
            ValueError,
            "expected a cell that reads 4 features there, got GRUCell with input_size 3",
        ),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_what_cannot_be_stacked_is_refused(cells, error, words):
    with pytest.raises(error, match=re.escape(words)):
        Recurrent(*cells)


@pytest.mark.parametrize(
    "above",
    [
        pytest.param(lambda: LSTMCell(H, H, rngs=nnx.Rngs(0)), id="another carry"),
        pytest.param(lambda: gru_cell(H, 6), id="another hidden size"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_cells_whose_states_cannot_be_stacked_are_refused_in_words(above):
    with pytest.raises((ValueError, TypeError), match=r"Recurrent: .*expected"):
        Recurrent(gru_cell(I, H), above())(jnp.asarray(X))


@pytest.mark.usefixtures("unchecked")
def test_a_list_for_an_input_is_refused_in_words():
    with pytest.raises((ValueError, TypeError), match=r"GRU: expected .*got"):
        layer_of("gru")(X.tolist())
