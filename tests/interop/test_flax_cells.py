"""Weights of Flax's cells in ours and back: the same numbers, in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jax_rnn import GRUCell, LSTMCell, OriginalGRUCell, RNNCell, from_flax, to_flax
from tests.kit import cases, refusals, refused, rngs

I, H, B = 3, 4, 2  # noqa: E741

pytestmark = pytest.mark.usefixtures("x64")
KINDS = {
    "LSTMCell": (nnx.LSTMCell, {"optimized": False}),
    "OptimizedLSTMCell": (nnx.OptimizedLSTMCell, {}),
    "GRUCell": (nnx.GRUCell, {}),
    "SimpleCell": (nnx.SimpleCell, {}),
    "SimpleCell of relu": (nnx.SimpleCell, {}),
}


def random(cell):
    """The cell with every parameter random, biases too."""
    generator = np.random.default_rng(0)
    for leaf in jax.tree.leaves(nnx.state(cell, nnx.Param), is_leaf=lambda x: hasattr(x, "shape")):
        assert leaf.dtype == jnp.float64
    state = jax.tree.map(lambda leaf: generator.normal(size=leaf.shape), nnx.state(cell, nnx.Param))
    nnx.update(cell, jax.tree.map(jnp.asarray, state))
    return cell


@cases("name", KINDS, short=1)
def test_the_same_numbers_there_and_back(name, close):
    kind, options = KINDS[name]
    activation = {"activation_fn": jax.nn.relu} if name.endswith("relu") else {}
    theirs = random(kind(I, H, dtype="float64", param_dtype="float64", rngs=rngs(), **activation))
    ours = from_flax(theirs)
    assert ours.dtype == jnp.float64
    h, c = map(jnp.asarray, np.random.default_rng(1).normal(size=(2, B, H)))
    x = jnp.asarray(np.random.default_rng(2).normal(size=(B, I)))
    is_lstm = type(ours) is LSTMCell
    their_carry, y = theirs((c, h) if is_lstm else h, x)
    our_carry, our_y = ours((h, c) if is_lstm else h, x)
    close(our_y, y)
    close(tuple(our_carry), their_carry[::-1] if is_lstm else (their_carry,))
    back = to_flax(ours, **options)
    assert type(back) is kind
    jax.tree.map(
        np.testing.assert_array_equal, nnx.state(back, nnx.Param), nnx.state(theirs, nnx.Param)
    )


@cases("kind", [LSTMCell, RNNCell], short=1)
@pytest.mark.parametrize("bias", [True, False])
def test_ours_in_flax_gives_the_same_numbers(kind, bias, close):
    ours = kind(I, H, bias, rngs=rngs())
    carry, x = ours.initialize_carry((B, I)), jnp.ones((B, I))
    close(to_flax(ours)(tuple(carry) if kind is LSTMCell else carry.h, x)[1], ours(carry, x)[1])


def test_a_bias_inside_the_reset_is_refused_and_zeros_are_not():
    ours = GRUCell(I, H, rngs=rngs())
    words = "expected b_hn, the last 4 numbers of bias_hh, to be ze"
    refused(ValueError, words, lambda: to_flax(ours))
    ours.bias_hh[...] = ours.bias_hh[...].at[2 * H :].set(0)
    assert type(to_flax(ours)) is nnx.GRUCell


def flax(kind, **options):
    return lambda: from_flax(kind(I, H, **options, rngs=rngs()))


# (call, error, words)
ROWS = [
    (flax(nnx.Linear), TypeError, "got Linear"),
    (lambda: to_flax(OriginalGRUCell(I, H, rngs=rngs())), TypeError, "got OriginalGRU"),
    (flax(nnx.SimpleCell, residual=True), ValueError, "residual=True; this is not supported"),
    (flax(nnx.GRUCell, gate_fn=jnp.tanh), ValueError, "gate_fn sigmoid"),
    (flax(nnx.SimpleCell, param_dtype="float64"), ValueError, "dtype=param_dtype"),
]


test_what_has_no_counterpart_is_refused = refusals(ROWS)
