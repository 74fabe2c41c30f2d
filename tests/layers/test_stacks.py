"""Stacks of unlike cells and directions, and states that are passed on."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jax_rnn import (
    GRU,
    LSTM,
    GRUCell,
    HiddenCarry,
    LSTMCell,
    Recurrent,
    Zoneout,
)
from tests import kit

I, H, B, T = 3, 4, 2, 5  # noqa: E741


def rngs():
    return nnx.Rngs(0)


@pytest.mark.parametrize("dtype", ["int32", "float16"])
def test_a_state_of_another_dtype_is_refused_by_unlike_cells_too(dtype, unchecked):
    layer = Recurrent(LSTMCell(I, H, rngs=rngs()), GRUCell(H, H, rngs=rngs()))
    x = jnp.zeros((T, B, I))
    _, (lstm, gru) = layer(x)
    words = rf"expected h of hx\[1\] to be a float32 array of shape \(2, 4\), got an? {dtype}"
    with pytest.raises(ValueError, match=words):
        layer(x, (lstm, HiddenCarry(gru.h.astype(dtype))))
    layer(x, (lstm, gru))


@pytest.mark.parametrize("kind", [GRU, LSTM])
def test_steps_continue_where_a_call_ended(kind, close):
    layer = kind(I, H, 2, rngs=rngs())
    x = jnp.asarray(kit.normal(T, B, I), jnp.float32)
    output, _ = layer(x)
    _, h_n = layer(x[:3])
    state = layer.initial_state(B, hx=h_n, time=3)
    for t in (3, 4):
        y, state = layer.step(x[t], state)
        close(y, output[t], 1e-6)
    assert state.time == T
    with pytest.raises(ValueError, match=r"expected h of hx to be a float32 array of shape \(2, 3"):
        layer.initial_state(3, hx=h_n)


def test_a_random_call_is_continued_with_the_same_numbers(close):
    layer = Recurrent(Zoneout(GRUCell(I, H, rngs=rngs()), h=0.5))
    x, key = jnp.asarray(kit.normal(T, B, I), jnp.float32), jax.random.key(3)
    output, _ = layer(x, rngs=key)
    _, h_n = layer(x[:3], rngs=key)
    state = layer.initial_state(B, hx=h_n, rngs=key, time=3)
    y, state = layer.step(x[3], state)
    close(y, output[3], 1e-6)


# Directions


def test_layers_of_one_and_two_directions_stack(close):
    rng = rngs()
    first, forward, backward = (GRUCell(size, H, rngs=rng) for size in (I, H, H))
    last = LSTMCell(2 * H, 3, rngs=rng)
    layer = Recurrent(first, (forward, backward), (None, last), batch_first=True)
    x = jnp.asarray(kit.normal(B, T, I), jnp.float32)
    lengths = np.array([T, 3])
    output, (a, b, c, d) = layer(x, lengths=lengths)
    assert (output.shape, a.h.shape, d.c.shape) == ((B, T, 3), (B, H), (B, 3))
    one = Recurrent(first, batch_first=True)(x, lengths=lengths)[0]
    two, h_n = Recurrent((forward, backward), batch_first=True)(one, lengths=lengths)
    close((b.h, c.h), (h_n[0], h_n[1]), 1e-6)
    row = two[1, :3][::-1]
    expected, _ = Recurrent(last)(row)
    close(output[1, :3], expected[::-1], 1e-6)
    assert not output[1, 3:].any()
    assert layer.num_layers == 3 and layer.bidirectional
    assert layer.cells[2] is None and layer.reverse_cells[0] is None
    assert layer.reverse_cells[1] is backward and layer.reverse_cells[2] is last
    with pytest.raises(ValueError, match="expected a layer of one direction"):
        layer.step(x[:, 0], layer.initial_state(B))


def test_a_layer_that_runs_backward_is_the_flipped_sequence(close):
    cell = GRUCell(I, H, rngs=rngs())
    x = jnp.asarray(kit.normal(T, B, I), jnp.float32)
    output, h_n = Recurrent((None, cell))(x)
    expected, last = Recurrent(cell)(x[::-1])
    close((output, h_n), (expected[::-1], last), 1e-6)
    graphdef, state = nnx.split(Recurrent((None, cell)))
    close(nnx.merge(graphdef, state)(x)[0], output, 0)


@pytest.mark.parametrize("layer", [(None, None), (), "pair"])
def test_a_layer_without_cells_is_refused(layer, unchecked):
    with pytest.raises((TypeError, ValueError), match="Recurrent: expected"):
        Recurrent(layer)
