"""Resets: the same as running the pieces in between separately."""

from functools import partial
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jax_rnn import GRU, LSTM, LearnedInitialState, LSTMCell, MinGRUCell, Recurrent
from jax_rnn.scans import Checkpointed
from tests import kit
from tests.kit import cases

I, H, B, T = 3, 4, 2, 6  # noqa: E741
STARTS = {0: (2, 5), 1: (3,)}
"""Steps at which a new piece begins, for each sequence."""

pytestmark = pytest.mark.usefixtures("x64")


def learned(**options):
    return Recurrent(LearnedInitialState(LSTMCell(I, H, rngs=nnx.Rngs(0))), **options)


LAYERS = {
    "gated": partial(LSTM, I, H, scan="gated", rngs=nnx.Rngs(0)),
    "sequential": partial(GRU, I, H, scan="sequential", rngs=nnx.Rngs(0)),
    "in chunks": partial(GRU, I, H, scan=Checkpointed(4, "gated"), rngs=nnx.Rngs(0)),
    "two layers": partial(LSTM, I, H, 2, scan="gated", rngs=nnx.Rngs(0)),
    "two directions": partial(GRU, I, H, 2, bidirectional=True, scan="gated", rngs=nnx.Rngs(0)),
    "learned": partial(learned, scan="gated"),
    "associative": lambda **o: Recurrent(
        MinGRUCell(I, H, rngs=nnx.Rngs(0)), scan="associative", **o
    ),
}


def drawn(layer):
    """The layer with random parameters, biases and initial states too."""
    graphdef, params = nnx.split(layer)
    leaves, tree = jax.tree.flatten(params)
    leaves = [jnp.asarray(0.5 * kit.normal(*leaf.shape, seed=k)) for k, leaf in enumerate(leaves)]
    return nnx.merge(graphdef, jax.tree.unflatten(tree, leaves))


def flags():
    resets = np.zeros((T, B), bool)
    for row, starts in STARTS.items():
        resets[list(starts), row] = True
    return resets


def pieces(layer, x, hx, row, end):
    """Outputs of a sequence, piece by piece; each direction starts from hx only once."""
    initial = jax.tree.map(lambda *leaves: jnp.stack(leaves), *layer.initial_state().carries)
    outputs = []
    for start, stop in pairwise([0, *(start for start in STARTS[row] if start < end), end]):
        ends = (start == 0, stop == end) if layer.bidirectional else (start == 0,)
        given = jnp.array(ends * layer.num_layers)[:, None]
        carry = jax.tree.map(partial(jnp.where, given), [leaf[:, row] for leaf in hx], [*initial])
        outputs.append(layer(x[start:stop, row], carry if len(carry) > 1 else carry[0])[0])
    return jnp.concatenate([*outputs, jnp.zeros((T - end, outputs[0].shape[-1]))])


@cases("name", LAYERS, short=2)
@cases("lengths", [None, (T, 4)], short=1)
def test_pieces_are_run_separately(name, lengths, close):
    graphdef, params = nnx.split(drawn(LAYERS[name]()))
    ends = lengths or (T, T)
    x = jnp.asarray(kit.normal(T, B, I))
    shapes = jax.tree.leaves(jax.eval_shape(lambda: nnx.merge(graphdef, params)(x)[1]))
    hx = [jnp.asarray(kit.normal(*leaf.shape, seed=3 + k)) for k, leaf in enumerate(shapes)]
    weights = jnp.asarray(kit.normal(T, B, 1, seed=4))

    def whole(params, x, hx):
        layer = nnx.merge(graphdef, params)
        given = None if lengths is None else np.asarray(lengths)
        output, _ = layer(x, hx if len(hx) > 1 else hx[0], lengths=given, resets=flags())
        return (output * weights).sum(), output

    def apart(params, x, hx):
        layer = nnx.merge(graphdef, params)
        output = jnp.stack([pieces(layer, x, hx, row, ends[row]) for row in range(B)], axis=1)
        return (output * weights).sum(), output

    ours, expected = (
        jax.jit(jax.grad(f, (0, 1, 2), has_aux=True))(params, x, hx) for f in (whole, apart)
    )
    close(jax.tree.leaves(ours), jax.tree.leaves(expected), 1e-12)


def test_no_gradient_crosses_a_reset():
    layer = LSTM(I, H, scan="gated", rngs=nnx.Rngs(0))
    x, resets = jnp.asarray(kit.normal(T, B, I)), np.zeros((T, B), bool)
    resets[3] = True
    gradient = jax.grad(lambda x: layer(x, resets=resets)[0][4].sum())(x)
    assert not gradient[:3].any()
    assert gradient[3:5].all()


def test_batch_first_resets_have_the_layout_of_the_input(close):
    plain, turned = (GRU(I, H, batch_first=first, rngs=nnx.Rngs(0)) for first in (False, True))
    x = jnp.asarray(kit.normal(T, B, I))
    expected = plain(x, resets=flags())[0]
    close(turned(x.swapaxes(0, 1), resets=flags().T)[0].swapaxes(0, 1), expected)
