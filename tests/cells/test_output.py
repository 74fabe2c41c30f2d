"""Outputs that are not the hidden state, and what zoneout does to outputs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jax_rnn import GatedCell, HiddenCarry, LinearCell, Recurrent, RNNCell, Zoneout
from jax_rnn.cells.randomness import draw_step
from jax_rnn.scans.step import noise_of
from jax_rnn.testing import check_cell
from tests import kit
from tests.cells.zoo import Wide
from tests.kit import cases, refused, rngs

I, H, B, T = 3, 4, 2, 5  # noqa: E741


class Narrow(GatedCell[HiddenCarry]):
    """y has fewer features than h, by an attribute of the class."""

    gates, output_size = ("a",), 1

    def update(self, gates, carry):
        h = jnp.tanh(gates.a)
        return HiddenCarry(h), h[..., :1]


class WideLinear(LinearCell[HiddenCarry]):
    def __init__(self, *sizes, rngs):
        self.input_size, self.hidden_size, self.output_size = I, I, 2 * I

    def coefficients(self, x):
        return HiddenCarry(jnp.full(I, 0.5)), HiddenCarry(x)

    def output(self, carry, x):
        return jnp.concatenate([carry.h, x], -1)


@cases("cell", [Wide, Narrow, WideLinear], short=1)
def test_y_may_have_other_features_than_h(cell):
    check_cell(cell(I, 6, rngs=rngs()))


def test_a_layer_of_two_directions_reads_such_outputs():
    layer = Recurrent((Wide(I, H, rngs=rngs()), Narrow(I, H, rngs=rngs())), Wide(8, 5, rngs=rngs()))
    assert layer(jnp.zeros((T, B, I)))[0].shape == (T, B, 8)


class Copied(RNNCell):
    """Returns the same values as y in another array."""

    def update(self, gates, carry):
        new, y = super().update(gates, carry)
        return new, y * 1.0


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("scan", ["sequential", "gated"])
def test_zoneout_of_y_does_not_depend_on_identity(training, scan, close):
    x, key = jnp.asarray(kit.normal(T, B, I), jnp.float32), jax.random.key(0) if training else None
    outputs = []
    for kind in (RNNCell, Copied):
        layer = Recurrent(Zoneout(kind(I, H, rngs=rngs()), h=0.5), scan=scan)
        (layer.train if training else layer.eval)()
        output, h_n = layer(x, rngs=key)
        close(output[-1], h_n[0], 1e-6)
        outputs.append(output)
    close(*outputs, 1e-6)


def test_zoneout_leaves_another_y_as_it_is(close, unchecked):
    x = jnp.asarray(kit.normal(B, I), jnp.float32)
    bare = Wide(I, H, rngs=rngs())
    carry = HiddenCarry(jnp.ones((B, H)))
    _, expected = bare(carry, x)
    cell = Zoneout(bare, h=0.9)
    noise = noise_of(*draw_step(cell, jax.random.key(0), 0, x))
    close(cell.step(carry, x, noise)[1], expected, 0)
    same = Zoneout(RNNCell(I, H, rngs=rngs()), h=0.9, output=False)
    (new, y), (_, plain) = same.step(carry, x, noise), same.cell(carry, x)
    close(y, plain, 0)
    assert (np.asarray(new.h) == 1).any() and not (np.asarray(y) == 1).any()
    words = "output: expected True or False, got 1"
    refused(TypeError, words, lambda: Zoneout(bare, h=0.1, output=1))
