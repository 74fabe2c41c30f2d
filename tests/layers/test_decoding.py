"""Free-running decoding against a Python loop."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jax_rnn import GRU, Embedding, Linear, decode, sample
from tests.kit import refused

H, B, S, P, N = 4, 3, 6, 4, 7


@pytest.fixture(scope="module")
def model():
    rngs = nnx.Rngs(0)
    embedding, layer = Embedding(S, H, rngs=rngs), GRU(H, H, 2, rngs=rngs)
    linear = Linear(H, S, rngs=rngs)
    linear.kernel[...] = 5 * jax.random.normal(jax.random.key(1), linear.kernel.shape)

    def step(symbols, state):
        y, state = layer.step(embedding(symbols), state)
        return linear(y), state

    return embedding, layer, linear, step


PROMPT = np.random.default_rng(0).integers(0, S, (P, B))


def by_hand(model, prompt, steps, choose):
    """The prompt in one call of the layer, then step by step."""
    embedding, layer, linear, step = model
    outputs, h_n = layer(embedding(jnp.asarray(prompt)))
    state, logits, written = layer.initial_state(B, hx=h_n), linear(outputs[-1]), []
    for t in range(steps):
        written.append(choose(t, logits))
        logits, state = step(written[-1], state)
    return np.stack(written)


def test_the_likeliest_symbols_follow_the_prompt_inside_jit_as_outside(model):
    *_, step = model
    start = model[1].initial_state(B)
    run = jax.jit(lambda prompt, state: decode(step, state, prompt, N))
    expected = by_hand(model, PROMPT, N + 3, lambda t, logits: logits.argmax(-1))
    symbols, state = run(PROMPT, start)
    np.testing.assert_array_equal(symbols, expected[:N])
    np.testing.assert_array_equal(decode(step, start, PROMPT, N)[0], expected[:N])
    more, _ = decode(step, state, symbols[-1:], 3)
    np.testing.assert_array_equal(more, expected[N:])


def test_symbols_are_drawn_with_the_key_of_their_step(model):
    *_, step = model
    key = jax.random.key(5)
    symbols, _ = decode(step, model[1].initial_state(B), PROMPT, N, choose=sample, key=key)

    def choose(t, logits):
        return sample(jax.random.fold_in(key, P - 1 + t), logits)

    np.testing.assert_array_equal(symbols, by_hand(model, PROMPT, N, choose))


def test_rows_end_and_the_rest_is_filled(model):
    """The model counts up; the rows begin at different numbers."""
    steps = []

    def step(symbols, state):
        jax.debug.callback(lambda t: steps.append(int(t)), state)
        return jax.nn.one_hot((symbols + 1) % 9, 9), state + 1

    prompt = np.array([[0, 3, 5]])
    symbols, _ = decode(step, jnp.zeros((), int), prompt, 20, end=7, fill=8)
    jax.effects_barrier()
    np.testing.assert_array_equal(
        symbols[:8].T, [[1, 2, 3, 4, 5, 6, 7, 8], [4, 5, 6, 7, *[8] * 4], [6, 7, *[8] * 6]]
    )
    assert (symbols[7:] == 8).all() and max(steps) == 6, "it stops when all rows have ended"


def test_forced_symbols_are_written_in_place_of_the_chosen_ones(model):
    *_, step = model
    state = model[1].initial_state(B)
    forced = np.array([2, -1, -1])
    symbols, _ = decode(step, state, PROMPT, 3, forced=forced)
    assert (symbols[0] == 2).all()
    longer, _ = decode(step, state, np.concatenate([PROMPT, np.full((1, B), 2)]), 2)
    np.testing.assert_array_equal(symbols[1:], longer)


@pytest.mark.parametrize(
    ("prompt", "length", "error", "words"),
    [
        (
            np.zeros((0, B), int),
            3,
            ValueError,
            "at least one symbol|prompt of shape (0, 3) and a length of 3",
        ),
        (np.zeros((1, B), int), 0, ValueError, "a length of at least 1"),
        (np.zeros((1, B)), 3, TypeError, "prompt: expected integers, got a float32 array"),
    ],
)
def test_refused_in_words(model, prompt, length, error, words):
    state = model[1].initial_state(B)
    refused(error, words, lambda: decode(model[-1], state, prompt, length))
