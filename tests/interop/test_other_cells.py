"""Weights of Equinox's cells and Haiku's cores in ours and back: the same numbers, in float64."""

import equinox
import haiku
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jax_rnn import GRUCell, LSTMCell, OriginalGRUCell, RNNCell
from jax_rnn.interop import from_equinox, from_haiku, to_equinox, to_haiku
from tests.kit import normal, refused, rngs

I, H, B = 3, 4, 2  # noqa: E741

pytestmark = pytest.mark.usefixtures("x64")


def random(tree):
    """The same tree with random numbers in its arrays."""
    return jax.tree.map(lambda leaf: jnp.asarray(normal(*leaf.shape, seed=leaf.size)), tree)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", ["LSTMCell", "GRUCell"])
def test_equinox_there_and_back(kind, bias, close):
    theirs = getattr(equinox.nn, kind)(I, H, bias, key=jax.random.key(0))
    arrays, static = equinox.partition(theirs, equinox.is_array)
    theirs = equinox.combine(random(arrays), static)
    ours = from_equinox(theirs)
    x, h, c = (jnp.asarray(a) for a in (normal(B, I), normal(B, H), normal(B, H, seed=1)))
    is_lstm = kind == "LSTMCell"
    expected = jax.vmap(theirs)(x, (h, c) if is_lstm else h)
    new, y = ours((h, c) if is_lstm else (h,), x)
    close(tuple(new), expected if is_lstm else (expected,))
    close(y, new.h)
    back, _ = equinox.partition(to_equinox(ours), equinox.is_array)
    close(jax.tree.leaves(back), jax.tree.leaves(random(arrays)))


CORES = {
    "LSTM": (LSTMCell, {}),
    "GRU": (OriginalGRUCell, {}),
    "VanillaRNN": (RNNCell, {"nonlinearity": "relu"}),
}


def core(name):
    def step(x, state):
        return getattr(haiku, name)(H)(x, state)

    return haiku.without_apply_rng(haiku.transform(step))


def state_of(name, h, c):
    return haiku.LSTMState(h, c) if name == "LSTM" else h


@pytest.mark.parametrize("name", CORES)
def test_haiku_there_and_back(name, close):
    kind, _ = CORES[name]
    x, h, c = (jnp.asarray(a) for a in (normal(B, I), normal(B, H), normal(B, H, seed=1)))
    state = state_of(name, h, c)
    params = random(core(name).init(jax.random.key(0), x, state))
    ours = from_haiku(params)
    assert type(ours) is kind and ours.dtype == jnp.float64
    y, new = core(name).apply(params, x, state)
    carry, out = ours((h, c) if name == "LSTM" else (h,), x)
    close(out, y)
    close(tuple(carry), tuple(new) if name == "LSTM" else (new,))
    if name == "VanillaRNN":  # its second bias is added to the first
        y_back, _ = core(name).apply(to_haiku(ours), x, state)
        close(y_back, y)
    else:
        close(to_haiku(ours), params)


@pytest.mark.parametrize("name", CORES)
def test_ours_in_haiku_gives_the_same_numbers(name, close):
    kind, options = CORES[name]
    ours = kind(I, H, **options, rngs=rngs())
    x, h, c = (jnp.asarray(a) for a in (normal(B, I), normal(B, H), normal(B, H, seed=1)))
    y, _ = core(name).apply(to_haiku(ours), x, state_of(name, h, c))
    close(y, ours((h, c) if name == "LSTM" else (h,), x)[1])
    assert next(iter(to_haiku(ours, "mine"))).startswith("mine")


# (call, error, words)
ROWS = [
    (lambda: from_equinox(GRUCell(I, H, rngs=rngs())), TypeError, "equinox.nn.LSTMCell|got GRU"),
    (lambda: to_equinox(RNNCell(I, H, rngs=rngs())), TypeError, "got RNNCell"),
    (lambda: to_equinox(LSTMCell(I, H, heads=2, rngs=rngs())), ValueError, "heads=2"),
    (lambda: from_haiku({"linear": {"w": np.ones((3, 2))}}), ValueError, "one haiku.LSTM|linear"),
    (lambda: to_haiku(GRUCell(I, H, rngs=rngs())), TypeError, "OriginalGRUCell|got GRUCell"),
    (lambda: to_haiku(RNNCell(I, H, rngs=rngs())), ValueError, "relu|tanh"),
    (lambda: to_haiku(LSTMCell(I, H, heads=2, rngs=rngs())), ValueError, "heads=2"),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[2])
def test_what_has_no_counterpart_is_refused(row, unchecked):
    call, error, words = row
    refused(error, words, call)
