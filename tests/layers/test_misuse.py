"""Cells that a layer cannot run and states in other forms: refused with the remedy, or accepted."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jax_rnn import (
    GRU,
    LSTM,
    Cell,
    GatedCell,
    GRUCell,
    HiddenCarry,
    Linear,
    LSTMCarry,
    LSTMCell,
    Recurrent,
)

I, H, B, T = 3, 4, 2, 5  # noqa: E741

pytestmark = pytest.mark.usefixtures("unchecked")


class KeyCarry(NamedTuple):
    h: Any
    key: Any


class Plain(Cell[HiddenCarry]):
    """Adds up its inputs."""

    def __init__(self, width=H):
        self.input_size, self.hidden_size, self.width = H, H, width

    def initialize_carry(self, input_shape, rngs=None, carry_init=None):
        return HiddenCarry(jnp.zeros((*input_shape[:-1], H)))

    def step(self, carry, x):
        h = carry.h + x
        return HiddenCarry(h), h[..., : self.width]


class TwoAxes(Plain):
    @property
    def num_feature_axes(self):
        return 2


class Noisy(Plain):
    def __init__(self, rngs):
        super().__init__()
        self.rngs = rngs


class Keyed(Plain):
    def initialize_carry(self, input_shape, rngs=None, carry_init=None):
        return KeyCarry(jnp.zeros((*input_shape[:-1], H)), jax.random.key(0))


class Bare(Plain):
    def initialize_carry(self, input_shape, rngs=None, carry_init=None):
        return jnp.zeros((*input_shape[:-1], H))


class Narrow(GatedCell[HiddenCarry]):
    """Its output has one feature, which broadcasts."""

    gates = ("a",)

    def update(self, gates, carry):
        h = jnp.tanh(gates.a)
        return HiddenCarry(h), h[..., :1]


CONSTRUCTORS = {
    "cells with one and two feature axes": (
        lambda: Recurrent(Plain(), TwoAxes()),
        ValueError,
        ("the same number of feature axes, got [1, 2]",),
    ),
    "nnx.Rngs inside a cell": (
        lambda: Recurrent(Noisy(nnx.Rngs(0))),
        TypeError,
        ("got Noisy, which holds nnx.Rngs", "implement noise", "RecurrentDropout"),
    ),
    "a key in the carry": (
        lambda: Recurrent(Keyed()),
        TypeError,
        ("got a PRNG key as key in the carry of Keyed", "implement noise"),
    ),
    "a carry that is no NamedTuple": (
        lambda: Recurrent(Bare()),
        TypeError,
        ("initialize_carry of Bare to return a NamedTuple", "got a float32 array of shape (4,)"),
    ),
    "a cell of Flax": (
        lambda: Recurrent(nnx.GRUCell(I, H, rngs=nnx.Rngs(0))),
        TypeError,
        ("got nnx.GRUCell", "jax_rnn.from_flax(cell)", "nnx.RNN(cell)"),
    ),
    "a class": (
        lambda: Recurrent(GRUCell),
        TypeError,
        ("got the class GRUCell", "GRUCell(input_size, hidden_size, rngs=nnx.Rngs(0))"),
    ),
    "Linear after GRU in nnx.Sequential": (
        lambda: nnx.Sequential(GRU(I, H, rngs=nnx.Rngs(0)), Linear(H, 2, rngs=nnx.Rngs(0)))(
            jnp.zeros((T, B, I))
        ),
        TypeError,
        ("Linear: expected one array, got the (output, h_n)", "lambda output, h_n: output"),
    ),
}


@pytest.mark.parametrize("name", CONSTRUCTORS)
def test_misuse_is_refused_with_the_remedy(name):
    do, error, words = CONSTRUCTORS[name]
    with pytest.raises(error) as caught:
        do()
    assert not [word for word in words if word not in str(caught.value)], str(caught.value)


def test_the_remedy_for_sequential_works():
    model = nnx.Sequential(
        GRU(I, H, rngs=nnx.Rngs(0)), lambda output, h_n: output, Linear(H, 2, rngs=nnx.Rngs(0))
    )
    assert jax.eval_shape(model, jnp.zeros((T, B, I))).shape == (T, B, 2)


@pytest.mark.parametrize(
    ("cell", "method"),
    [(lambda: Plain(width=1), "step"), (lambda: Narrow(H, H, rngs=nnx.Rngs(0)), "update")],
)
@pytest.mark.parametrize("lengths", [None, [T, 2]])
def test_an_output_of_another_shape_is_refused_at_the_first_call(cell, method, lengths):
    cell = cell()
    words = rf"expected {method} to return \(carry, y\) with y of shape \(2, 4\).*got a.*\(2, 1\)"
    with pytest.raises(ValueError, match=words):
        Recurrent(cell)(jnp.zeros((T, B, H)), lengths=lengths)
    with pytest.raises(ValueError, match=words):
        cell(cell.initialize_carry((B, H)), jnp.zeros((B, H)))


# States in other forms


def arrays(*shape):
    return [np.random.default_rng(k).normal(size=shape).astype(np.float32) for k in range(2)]


def same(actual, expected):
    jax.tree.map(np.testing.assert_array_equal, actual, expected)


def test_a_cell_takes_a_plain_tuple_and_of_one_state_the_array():
    x, (h, c) = np.ones((B, I), np.float32), arrays(B, H)
    lstm, gru = LSTMCell(I, H, rngs=nnx.Rngs(0)), GRUCell(I, H, rngs=nnx.Rngs(0))
    expected = lstm(LSTMCarry(h, c), x)
    assert type(expected[0]) is LSTMCarry
    for carry in ((h, c), [h, c], (nnx.Param(jnp.asarray(h)), c)):
        same(lstm(carry, x), expected)
    expected = gru(HiddenCarry(h), x)
    for carry in (h, jnp.asarray(h), (h,), nnx.Param(jnp.asarray(h))):
        same(gru(carry, x), expected)


def test_a_carry_of_other_names_or_parts_is_refused():
    class Swapped(NamedTuple):
        c: Any
        h: Any

    x, (h, c) = np.ones((B, I), np.float32), arrays(B, H)
    cell = LSTMCell(I, H, rngs=nnx.Rngs(0))
    for carry, got in [
        (Swapped(c, h), "got a Swapped of 2"),
        (h, "got a float32 array"),
        ((h, c, c), "got a tuple of 3"),
        ((h, None), r"expected c of the carry to be an array of shape \(2, 4\), got NoneType"),
    ]:
        with pytest.raises(TypeError, match=got):
            cell(carry, x)


def test_a_layer_takes_the_state_in_every_form():
    x, (h, c) = jnp.ones((T, B, I)), arrays(1, B, H)
    gru, lstm = GRU(I, H, rngs=nnx.Rngs(0)), LSTM(I, H, rngs=nnx.Rngs(0))
    expected = gru(x, h)
    for hx in (HiddenCarry(h), (h,), nnx.Param(jnp.asarray(h))):
        same(gru(x, hx), expected)
    same(lstm(x, (nnx.Param(jnp.asarray(h)), c)), lstm(x, LSTMCarry(h, c)))
