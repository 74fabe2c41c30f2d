"""One step at a time, states at every step and passed on, stacks of unlike cells."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jax_rnn import (
    GRU,
    LSTM,
    GRUCell,
    LRUCell,
    LSTMCell,
    MinGRUCell,
    Recurrent,
    Residual,
    RNNCell,
    Zoneout,
)
from tests import kit
from tests.kit import cases, rngs

I, H, B, T = 3, 4, 2, 5  # noqa: E741

pytestmark = pytest.mark.usefixtures("x64")


def unlike():
    return Recurrent(
        LSTMCell(I, 6, rngs=rngs()),
        Residual(GRUCell(6, 6, rngs=rngs())),
        LRUCell(6, 5, output_size=2, rngs=rngs()),
        RNNCell(2, 7, rngs=rngs()),
    )


LAYERS = {
    "LSTM": lambda: LSTM(I, H, 2, rngs=rngs()),
    "unlike cells": unlike,
    "GRU, batch first": lambda: GRU(I, H, batch_first=True, rngs=rngs()),
    "zoneout": lambda: Recurrent(Zoneout(GRUCell(I, H, rngs=rngs()), h=0.5)),
    "dropout": lambda: GRU(I, H, 2, dropout=0.5, rngs=rngs()),
}


def normal(*shape):
    return jnp.asarray(kit.normal(*shape))


def x_of(layer):
    x = normal(T, B, I)
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


def test_a_step_can_reset_single_sequences_and_have_no_batch(close):
    layer = LSTM(I, H, 2, rngs=rngs())
    x, resets = normal(T, B, I), np.zeros((T, B), bool)
    resets[2, 1] = True
    expected, _ = layer(x, resets=resets)
    state = layer.initial_state(B)
    for t in range(T):
        y, state = layer.step(x[t], state, reset=resets[t])
        close(y, expected[t])
    y, state = layer.step(x[0, 0], layer.initial_state())
    close(y, expected[0, 0])
    assert state.carries[0].h.shape == (H,)


@cases("scan", ["gated", "sequential"], short=1)
def test_states_at_every_step_in_both_directions_with_lengths(scan, close):
    layer = LSTM(I, H, 2, bidirectional=True, scan=scan, rngs=rngs())
    x, lengths = normal(T, B, I), np.array([T, 3])
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
    def gradient(scan):
        loss = nnx.grad(lambda layer: (layer(x, return_states=True)[2][0].c ** 2).sum())
        return jax.tree.leaves(loss(LSTM(I, H, scan=scan, rngs=rngs())))

    x = normal(T, B, I)
    close(gradient("gated"), gradient("sequential"))


def test_a_stack_of_unlike_cells_is_the_layers_one_after_another(close):
    layer = unlike()
    x, lengths = normal(T, B, I), np.array([3, T])
    output, h_n = layer(x, lengths=lengths)
    expected = x
    for cell, carry in zip(layer.cells, h_n, strict=True):
        expected, last = Recurrent(cell)(expected, lengths=lengths)
        close(jax.tree.leaves(carry), [leaf[0] for leaf in jax.tree.leaves(last)])
    close(output, expected)
    close(layer(x[:2], h_n)[0], layer(x[:2], [*h_n])[0])
    assert h_n[2].h.dtype == jnp.complex128


def test_a_linear_cell_in_every_layout(close):
    layer = Recurrent(MinGRUCell(I, H, rngs=rngs()), batch_first=True)
    x = normal(2, B, T, I)
    output, _ = layer(x)
    close(output[1, 0], layer(x[1, 0])[0])


class TestPassedOn:
    @pytest.mark.parametrize("name", ["LSTM", "unlike cells", "zoneout"])
    def test_steps_continue_where_a_call_ended_with_the_same_random_numbers(self, name, close):
        layer, x, key = LAYERS[name](), normal(T, B, I), jax.random.key(3)
        output, _ = layer(x, rngs=key)
        _, h_n = layer(x[:3], rngs=key)
        state = layer.initial_state(B, hx=h_n, rngs=key, time=3)
        for t in (3, 4):
            y, state = layer.step(x[t], state)
            close(y, output[t])
        assert state.time == T


class TestDirections:
    def test_layers_of_one_and_two_directions_stack(self, close):
        rng = rngs()
        first, forward, backward = (GRUCell(size, H, rngs=rng) for size in (I, H, H))
        last = LSTMCell(2 * H, 3, rngs=rng)
        layer = Recurrent(first, (forward, backward), (None, last), batch_first=True)
        x = normal(B, T, I)
        lengths = np.array([T, 3])
        output, (a, b, c, d) = layer(x, lengths=lengths)
        assert (output.shape, a.h.shape, d.c.shape) == ((B, T, 3), (B, H), (B, 3))
        one = Recurrent(first, batch_first=True)(x, lengths=lengths)[0]
        two, h_n = Recurrent((forward, backward), batch_first=True)(one, lengths=lengths)
        close((b.h, c.h), (h_n[0], h_n[1]))
        row = two[1, :3][::-1]
        expected, _ = Recurrent(last)(row)
        close(output[1, :3], expected[::-1])
        assert not output[1, 3:].any()
        assert layer.num_layers == 3 and layer.bidirectional
        assert layer.cells[2] is None and layer.reverse_cells[0] is None
        assert layer.reverse_cells[1] is backward and layer.reverse_cells[2] is last

    def test_a_layer_that_runs_backward_is_the_flipped_sequence(self, close):
        cell = GRUCell(I, H, rngs=rngs())
        x = normal(T, B, I)
        output, h_n = Recurrent((None, cell))(x)
        expected, last = Recurrent(cell)(x[::-1])
        close((output, h_n), (expected[::-1], last))
        graphdef, state = nnx.split(Recurrent((None, cell)))
        close(nnx.merge(graphdef, state)(x)[0], output, 0)
