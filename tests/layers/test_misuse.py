"""Cells and states that a layer cannot run, refused with the remedy; states in other forms."""

from collections import namedtuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jax_rnn import (
    GRU,
    LSTM,
    GatedCell,
    GRUCell,
    HiddenCarry,
    Linear,
    LSTMCarry,
    LSTMCell,
    Recurrent,
)
from tests.cells.zoo import OneState, kind
from tests.kit import refusals, refused, rngs

I, H, B, T = 3, 4, 2, 5  # noqa: E741
TE, VE = TypeError, ValueError

pytestmark = pytest.mark.usefixtures("unchecked")


KeyCarry, Swapped = namedtuple("KeyCarry", "h key"), namedtuple("Swapped", "c h")
TwoAxes = kind("TwoAxes", OneState, num_feature_axes=2)


def zeros(shape):
    return jnp.zeros((*shape[:-1], H))


class Noisy(OneState):
    def __init__(self):
        super().__init__()
        self.rngs = rngs()


class Keyed(OneState):
    def initialize_carry(self, input_shape, rngs=None, carry_init=None):
        return KeyCarry(zeros(input_shape), jax.random.key(0))


Bare = kind("Bare", OneState, initialize_carry=lambda self, shape, *_, **options: zeros(shape))


class OneFeature(OneState):
    """Its output has one feature, which broadcasts."""

    def step(self, carry, x):
        carry, y = super().step(carry, x)
        return carry, y[..., :1]


class OneGatedFeature(GatedCell[HiddenCarry]):
    gates = ("a",)

    def update(self, gates, carry):
        return HiddenCarry(gates.a), gates.a[..., :1]


X, STEP = np.ones((T, B, I), np.float32), np.ones((B, I), np.float32)
h, c = (np.random.default_rng(k).normal(size=(B, H)).astype(np.float32) for k in range(2))


TWO = np.zeros((2, B, H), np.float32)


def gru(*arguments, **options):
    return GRU(I, H, *arguments, **options, rngs=rngs())


def lstm_cell():
    return LSTMCell(I, H, rngs=rngs())


def unlike():
    return Recurrent(lstm_cell(), GRUCell(H, H, rngs=rngs()))


def with_state(dtype):
    _, (lstm, gru) = unlike()(X)
    return unlike()(X, (lstm, HiddenCarry(gru.h.astype(dtype))))


def without_unpacking():
    return nnx.Sequential(gru(), Linear(H, 2, rngs=rngs()))(X)


def backward(layer):
    return layer.step(STEP, layer.initial_state(B))


# (call, error, words)
ROWS = [
    (lambda: Recurrent(OneState(), TwoAxes()), VE, "number of feature axes, got [1, 2]"),
    (lambda: Recurrent(Noisy()), TE, "Noisy, which holds nnx.Rngs|noise|RecurrentDropout"),
    (lambda: Recurrent(Keyed()), TE, "a PRNG key as key in the carry of Keyed|implement noise"),
    (lambda: Recurrent(Bare()), TE, "initialize_carry of Bare to return a NamedTuple|shape (4,)"),
    (
        lambda: Recurrent(nnx.GRUCell(I, H, rngs=rngs())),
        TE,
        "got nnx.GRUCell|jax_rnn.from_flax(cell)|nnx.RNN(cell)",
    ),
    (lambda: Recurrent(GRUCell), TE, "class GRUCell|GRUCell(input_size, hidden_size, rngs=nnx.R"),
    *(
        (lambda of=of: Recurrent(of), (TE, VE), "Recurrent: expected")
        for of in ((None,) * 2, (), "pair")
    ),
    (without_unpacking, TE, "expected one array, got the (output, h_n)|lambda output, h_n: output"),
    # steps
    (lambda: backward(gru(bidirectional=True)), VE, "whose backward direction starts at the end"),
    (lambda: backward(Recurrent((None, gru().cells[0]))), VE, "expected a layer of one direction"),
    (lambda: gru().step(STEP, h[None]), TE, "expected a LayerState|layer.initial_state(batch)"),
    (lambda: gru(2).initial_state(3, hx=TWO), VE, "h of hx to be a float32 array of shape (2, 3"),
    # states of unlike cells
    (lambda: unlike()(X, TWO), TE, "a tuple of 2 carries, one for each cell"),
    (lambda: unlike()(X, (h, h)), TE, "expected hx[0] to be a tuple (h, c), or LSTMCarry"),
    (lambda: with_state("int32"), VE, "h of hx[1] to be a float32 array of shape (2, 4)|int32"),
    (lambda: with_state("float16"), VE, "h of hx[1] to be a float32 array of shape (2, 4)|float16"),
    # carries of cells
    (lambda: lstm_cell()(Swapped(c, h), STEP), TE, "got a Swapped of 2"),
    (lambda: lstm_cell()(h, STEP), TE, "got a float32 array"),
    (lambda: lstm_cell()((h, c, c), STEP), TE, "got a tuple of 3"),
    (lambda: lstm_cell()((h, None), STEP), TE, "c of the carry|of shape (2, 4), got NoneType"),
]


test_misuse_is_refused_with_the_remedy = refusals(ROWS)


def test_the_remedy_for_sequential_works():
    model = nnx.Sequential(gru(), lambda output, h_n: output, Linear(H, 2, rngs=rngs()))
    assert jax.eval_shape(model, X).shape == (T, B, 2)


@pytest.mark.parametrize(
    ("cell", "method"),
    [(OneFeature, "step"), (lambda: OneGatedFeature(H, H, rngs=rngs()), "update")],
)
@pytest.mark.parametrize("lengths", [None, [T, 2]])
def test_an_output_of_another_shape_is_refused_at_the_first_call(cell, method, lengths):
    cell = cell()
    words = f"expected {method} to return (carry, y) with y of shape (2, 4)|(2, 1)"
    refused(VE, words, lambda: Recurrent(cell)(jnp.zeros((T, B, H)), lengths=lengths))
    refused(VE, words, lambda: cell(cell.initialize_carry((B, H)), jnp.zeros((B, H))))


def parameter(x):
    return nnx.Param(jnp.asarray(x))


def check_same(call, expected, states):
    for state in states:
        jax.tree.map(np.testing.assert_array_equal, call(state), expected)


class TestStates:
    def test_a_state_may_be_a_tuple_a_list_or_a_parameter_and_a_single_one_an_array(self):
        cell, layer = lstm_cell(), LSTM(I, H, rngs=rngs())
        expected = cell(LSTMCarry(h, c), STEP)
        assert type(expected[0]) is LSTMCarry
        check_same(lambda carry: cell(carry, STEP), expected, [(h, c), [h, c], (parameter(h), c)])
        states = h[None], c[None]
        forms = [[*states], LSTMCarry(*states), (parameter(states[0]), states[1])]
        check_same(lambda hx: layer(X, hx), layer(X, states), forms)

        cell, layer = GRUCell(I, H, rngs=rngs()), gru()
        forms = [h, jnp.asarray(h), (h,), parameter(h)]
        check_same(lambda carry: cell(carry, STEP), cell(HiddenCarry(h), STEP), forms)
        forms = [HiddenCarry(h[None]), (h[None],), parameter(h[None])]
        check_same(lambda hx: layer(X, hx), layer(X, h[None]), forms)
