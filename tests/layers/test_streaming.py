"""One step at a time, states at every step, stacks of unlike cells, and cells on images."""

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
    GRUCell,
    LRUCell,
    LSTMCell,
    MinGRUCell,
    Recurrent,
    Residual,
    RNNCell,
)
from tests import kit
from tests.kit import cases

I, H, B, T = 3, 4, 2, 5  # noqa: E741

pytestmark = pytest.mark.usefixtures("x64")


def unlike():
    rngs = nnx.Rngs(0)
    return Recurrent(
        LSTMCell(I, 6, rngs=rngs),
        Residual(GRUCell(6, 6, rngs=rngs)),
        LRUCell(6, 5, output_size=2, rngs=rngs),
        RNNCell(2, 7, rngs=rngs),
    )


LAYERS = {
    "LSTM": lambda: LSTM(I, H, 2, rngs=nnx.Rngs(0)),
    "unlike cells": unlike,
    "GRU, batch first": lambda: GRU(I, H, batch_first=True, rngs=nnx.Rngs(0)),
    "dropout": lambda: GRU(I, H, 2, dropout=0.5, rngs=nnx.Rngs(0)),
}


def x_of(layer):
    x = jnp.asarray(kit.normal(T, B, I))
    return x.swapaxes(0, 1) if layer.batch_first else x


@cases("name", LAYERS, short=2)
def test_steps_one_by_one_are_a_call_on_all_steps(name, close):
    layer, key = LAYERS[name](), jax.random.key(5)
    x = x_of(layer)
    output, _, states = layer(x, rngs=key, return_states=True)
    state, step = layer.initial_state(B, rngs=key), jax.jit(lambda x, state: layer.step(x, state))
    axis = 1 if layer.batch_first else 0
    for t in range(T):
        y, state = step(jnp.take(x, t, axis), state)
        close(y, jnp.take(output, t, axis))
        close(state.carries, jax.tree.map(lambda leaf, t=t: jnp.take(leaf, t, axis), states))
    assert state.time == T


def test_a_step_can_reset_single_sequences(close):
    layer = LSTM(I, H, 2, rngs=nnx.Rngs(0))
    x, resets = jnp.asarray(kit.normal(T, B, I)), np.zeros((T, B), bool)
    resets[2, 1] = True
    expected, _ = layer(x, resets=resets)
    state = layer.initial_state(B)
    for t in range(T):
        y, state = layer.step(x[t], state, reset=resets[t])
        close(y, expected[t])


def test_a_step_without_a_batch(close):
    layer = GRU(I, H, rngs=nnx.Rngs(0))
    y, state = layer.step(jnp.ones(I), layer.initial_state())
    close(y, layer(jnp.ones((1, I)))[0][0])
    assert state.carries[0].h.shape == (H,)


def test_a_bidirectional_layer_cannot_stream(unchecked):
    layer = GRU(I, H, bidirectional=True, rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match="whose backward direction starts at the end"):
        layer.step(jnp.ones((B, I)), layer.initial_state(B))
    with pytest.raises(TypeError, match=r"expected a LayerState.*layer.initial_state\(batch\)"):
        GRU(I, H, rngs=nnx.Rngs(0)).step(jnp.ones((B, I)), jnp.zeros((1, B, H)))


@cases("scan", ["gated", "sequential"], short=1)
def test_states_at_every_step_in_both_directions_with_lengths(scan, close):
    layer = LSTM(I, H, 2, bidirectional=True, scan=scan, rngs=nnx.Rngs(0))
    x, lengths = jnp.asarray(kit.normal(T, B, I)), np.array([T, 3])
    output, (h_n, c_n), states = layer(x, lengths=lengths, return_states=True)
    plain, last = layer(x, lengths=lengths)
    close((output, h_n, c_n), (plain, *last))
    assert len(states) == 4
    close(jnp.concatenate([states[2].h, states[3].h], -1), output)
    for k, state in enumerate(states):
        ends = (0, 0) if k % 2 else lengths - 1
        for row, end in enumerate(ends):
            close(state.c[end, row], c_n[k, row])
        assert not state.c[3:, 1].any()


def test_gradients_pass_through_the_states(close):
    x = jnp.asarray(kit.normal(T, B, I))

    def loss(scan):
        def of(layer):
            return (layer(x, return_states=True)[2][0].c ** 2).sum()

        return jax.tree.leaves(nnx.grad(of)(LSTM(I, H, scan=scan, rngs=nnx.Rngs(0))))

    close(loss("gated"), loss("sequential"))


def test_a_stack_of_unlike_cells_is_the_layers_one_after_another(close):
    layer = unlike()
    x, lengths = jnp.asarray(kit.normal(T, B, I)), np.array([3, T])
    output, h_n = layer(x, lengths=lengths)
    expected = x
    for cell, carry in zip(layer.cells, h_n, strict=True):
        expected, last = Recurrent(cell)(expected, lengths=lengths)
        close(jax.tree.leaves(carry), [leaf[0] for leaf in jax.tree.leaves(last)])
    close(output, expected)
    close(layer(x[:2], h_n)[0], layer(x[:2], [*h_n])[0])
    assert h_n[2].h.dtype == jnp.complex128


@pytest.mark.parametrize(
    ("hx", "error", "words"),
    [
        (jnp.zeros((4, B, H)), TypeError, "a tuple of 4 carries, one for each cell"),
        (
            tuple(jnp.zeros((B, H)) for _ in range(4)),
            TypeError,
            r"expected hx\[0\] to be a tuple \(h, c\), or LSTMCarry",
        ),
    ],
)
def test_another_state_of_unlike_cells_is_refused(hx, error, words):
    with pytest.raises(error, match=words):
        unlike()(jnp.zeros((T, B, I)), hx)


class Image(NamedTuple):
    h: Any
    c: Any


class ConvLSTMCell(Cell[Image]):
    """Gates by convolution, on images (H, W, C)."""

    num_feature_axes = 3

    def __init__(self, input_size, hidden_size, *, rngs):
        self.input_size, self.hidden_size = input_size, hidden_size
        self.conv = nnx.Conv(
            input_size + hidden_size, 4 * hidden_size, (3, 3), param_dtype=float, rngs=rngs
        )

    def initialize_carry(self, input_shape, rngs=None, carry_init=None):
        zeros = jnp.zeros((*input_shape[:-1], self.hidden_size), self.dtype)
        return Image(zeros, zeros)

    def step(self, carry, x):
        i, f, g, o = jnp.split(self.conv(jnp.concatenate([x, carry.h], -1)), 4, -1)
        c = nnx.sigmoid(f) * carry.c + nnx.sigmoid(i) * jnp.tanh(g)
        h = nnx.sigmoid(o) * jnp.tanh(c)
        return Image(h, c), h


def test_images_run_through_a_layer_with_lengths(close):
    rngs = nnx.Rngs(0)
    first, second = ConvLSTMCell(2, 3, rngs=rngs), ConvLSTMCell(3, 3, rngs=rngs)
    layer = Recurrent(first, second, batch_first=True)
    x, lengths = jnp.asarray(kit.normal(B, T, 6, 5, 2)), np.array([T, 3])
    output, (h_n, c_n) = layer(x, lengths=lengths)
    assert output.shape == (B, T, 6, 5, 3)
    assert h_n.shape == c_n.shape == (2, B, 6, 5, 3)
    for row, length in enumerate(lengths):
        ys = x[row, :length]
        for k, cell in enumerate((first, second)):
            ys_in, carry, ys = ys, cell.initialize_carry(ys.shape[1:]), []
            for x_t in ys_in:
                carry, y = cell(carry, x_t)
                ys.append(y)
            ys = jnp.stack(ys)
            close((h_n[k, row], c_n[k, row]), (carry.h, carry.c))
        close(output[row, :length], ys)
        assert not output[row, length:].any()
    again, _ = layer(x[:, :2], (h_n, c_n))
    assert again.shape == (B, 2, 6, 5, 3)


def test_a_linear_cell_in_every_layout(close):
    layer = Recurrent(MinGRUCell(I, H, rngs=nnx.Rngs(0)), batch_first=True)
    x = jnp.asarray(kit.normal(2, B, T, I))
    output, _ = layer(x)
    close(output[1, 0], layer(x[1, 0])[0])
