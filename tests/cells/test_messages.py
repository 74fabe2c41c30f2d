"""What an author gets wrong is said in words, without a traceback of JAX; and states of y."""

import re
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from jax_rnn import (
    GRU,
    Cell,
    GatedCell,
    GRUCell,
    HiddenCarry,
    LSTMCarry,
    LSTMCell,
    MinGRUCell,
    Recurrent,
    Wrapper,
    Zoneout,
)
from jax_rnn.scans import Associative, Gated, Sequential
from jax_rnn.testing import check_cell

I, H, B, T = 3, 4, 2, 5  # noqa: E741


def rngs():
    return nnx.Rngs(0)


class Hidden(NamedTuple):
    state: Any


class ReturnsAnArray(GRUCell):
    def update(self, gates, carry):
        return carry.h


class ReturnsACarry(LSTMCell):
    def update(self, gates, carry):
        return LSTMCarry(carry.h, carry.c)


class OtherDtype(GRUCell):
    def update(self, gates, carry):
        h = super().update(gates, carry)[1].astype(jnp.bfloat16)
        return HiddenCarry(h), h


class WithoutH(GatedCell[Hidden]):
    gates = ("a",)

    def update(self, gates, carry):
        return Hidden(gates.a), gates.a


class WithoutSize(Cell[HiddenCarry]):
    def __init__(self):
        self.hidden_size = H

    def initialize_carry(self, input_shape, rngs=None, carry_init=None):
        return HiddenCarry(jnp.zeros((*input_shape[:-1], H)))

    def step(self, carry, x):
        return carry, carry.h


class OtherWeights(Cell[HiddenCarry]):
    """A linear map of Flax in float32, in a cell whose own parameter follows JAX's default."""

    def __init__(self):
        self.input_size = self.hidden_size = H
        self.a = nnx.Param(jnp.ones(H))
        self.linear = nnx.Linear(H, H, rngs=rngs())

    def initialize_carry(self, input_shape, rngs=None, carry_init=None):
        return HiddenCarry(jnp.zeros((*input_shape[:-1], H), self.dtype))

    def step(self, carry, x):
        h = self.linear(x).astype(jnp.float32) * self.a[...].astype(jnp.float32)
        return HiddenCarry(h), h


class DrawsInVain(GRUCell):
    def noise(self, key, batch):
        return jax.random.normal(key, (*batch, H))

    def update(self, gates, carry, numbers=None):
        return super().update(gates, carry)


class StepsInside(Wrapper):
    def on_update(self, old, new, y):
        return self.cell.step(old, y)


def call(cell):
    return lambda scan: Recurrent(cell(), scan=scan)(jnp.ones((T, B, I)))


MISTAKES = {
    "update returns an array": (
        call(lambda: ReturnsAnArray(I, H, rngs=rngs())),
        TypeError,
        r"ReturnsAnArray: expected update to return a HiddenCarry and y, an array, got a float32 "
        r"array.*; write e\.g\. return HiddenCarry\(h\), h",
    ),
    "update returns a carry": (
        call(lambda: ReturnsACarry(I, H, rngs=rngs())),
        TypeError,
        "expected update to return a LSTMCarry and y",
    ),
    "update returns another dtype": (
        call(lambda: OtherDtype(I, H, rngs=rngs())),
        ValueError,
        r"the dtype that it has before the step, float32, got bfloat16; .*h\.astype",
    ),
    "a carry without h": (
        lambda scan: WithoutH(I, H, rngs=rngs()),
        TypeError,
        "WithoutH: expected a carry with a field h, which the hidden map reads, got Hidden",
    ),
    "no input_size": (
        lambda scan: Recurrent(WithoutSize(), scan=scan),
        AttributeError,
        "WithoutSize: expected input_size to be set, got none; write e.g. self.input_size",
    ),
    "random numbers that nobody takes": (
        call(lambda: Zoneout(DrawsInVain(I, H, rngs=rngs()), h=0.1)),
        TypeError,
        "expected a method of DrawsInVain to take the random numbers that it draws, got none",
    ),
    "step of a cell inside a wrapper": (
        call(lambda: StepsInside(GRUCell(I, H, rngs=rngs()))),
        TypeError,
        "GRUCell.step: expected the result of project, .*of the gates r, z, n, got a float32 array",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
@pytest.mark.parametrize("scan", ["auto", "sequential", "gated"])
def test_a_mistake_of_an_author_is_said_in_words(name, scan, unchecked):
    do, error, words = MISTAKES[name]
    with pytest.raises(error, match=words):
        do(scan)


def test_weights_of_flax_in_another_dtype_are_named_with_the_remedy(x64):
    cell = OtherWeights()
    with pytest.raises(ValueError, match=r"float32 and float64.*nnx\.Linear\(\.\.\., param_dtype"):
        Recurrent(cell)(jnp.ones((T, B, H)))


@pytest.mark.skipif(len(jax.devices()) < 2, reason="needs two devices")
def test_an_explicit_mesh_is_found_in_a_program_and_named_outside(close):
    mesh = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Explicit,))
    x = jax.device_put(jnp.ones((T, B, I)), NamedSharding(mesh, PartitionSpec(None, "data")))
    wide = GRU(I, 64, rngs=rngs())
    for layer in (GRU(I, H, rngs=rngs()), wide):

        def loss(layer, x):
            return (layer(x)[0] ** 2).sum()

        with pytest.raises(ValueError, match=r"expected a mesh to be set .*jax\.set_mesh\(mesh\)"):
            jax.grad(loss)(layer, x)
        assert layer(x)[0].shape == jax.jit(lambda x, layer=layer: layer(x)[0])(x).shape
        compiled = jax.jit(jax.grad(loss, (0, 1)))
        expected = compiled(layer, np.asarray(x))
        close(jax.tree.leaves(compiled(layer, x)), jax.tree.leaves(expected), 1e-5)
        with jax.set_mesh(mesh):
            assert layer(x)[0].shape[0] == T
            jax.grad(loss)(layer, x)


# Why a fast scan does not run a cell


class Ticks(NamedTuple):
    h: Any
    ticks: Any


class Counting(GatedCell[Ticks]):
    gates = ("a",)

    def initialize_carry(self, input_shape, rngs=None, carry_init=None):
        batch = input_shape[:-1]
        return Ticks(jnp.zeros((*batch, self.hidden_size)), jnp.zeros(batch, jnp.int32))

    def update(self, gates, carry):
        h = jnp.tanh(gates.a)
        return Ticks(h, carry.ticks + 1), h


class Turning(Counting):
    def initialize_carry(self, input_shape, rngs=None, carry_init=None):
        batch = input_shape[:-1]
        zeros = jnp.zeros((*batch, self.hidden_size))
        return Ticks(zeros, zeros.astype(complex))


class Clipped(Wrapper):
    def on_update(self, old, new, y):
        return jax.tree.map(lambda leaf: jnp.clip(leaf, -1, 1), new), y


REASONS = {
    "an integer in the carry": (
        lambda: Counting(I, 64, rngs=rngs()),
        Gated(),
        "Counting does not run on Gated: expected a carry of floats, got ticks of int32",
    ),
    "a complex number in the carry": (
        lambda: Turning(I, 64, rngs=rngs()),
        Gated(),
        "Turning does not run on Gated: expected a carry of floats, got ticks of complex64",
    ),
    "a wrapper around a linear cell": (
        lambda: Clipped(MinGRUCell(I, 64, rngs=rngs())),
        Associative(),
        "Clipped does not run on Associative: .*wrappers whose on_update changes the carry",
    ),
}


@pytest.mark.parametrize("name", REASONS)
def test_the_reason_for_a_slow_scan_is_stated(name):
    build, fast, words = REASONS[name]
    layer = Recurrent(build())
    found = layer.chosen_scans((20, 9, I), "cpu")
    assert isinstance(found[0], Sequential)
    assert re.match(words, found.reasons[0] or "")
    assert found.reasons[0] in repr(found)
    with pytest.raises(ValueError, match=r"expected .*, got .*; scan='auto' chooses one"):
        Recurrent(build(), scan=fast)


def test_there_is_no_reason_where_nothing_is_to_be_done():
    for cell in (GRUCell(I, 64, rngs=rngs()), GRUCell(I, 2, rngs=rngs())):
        found = Recurrent(cell).chosen_scans((20, 9, I), "cpu")
        assert found.reasons == (None,) and "\n" not in repr(found)


def test_check_cell_states_the_reason(capsys):
    with pytest.warns(UserWarning, match=r"Counting does not run on Gated: expected a carry of fl"):
        check_cell(Counting(I, 6, rngs=rngs()), skip=set(NAMES) - {"scans"})


NAMES = ["contract", "purity", "trace", "dtypes", "project", "scan", "resume", "reverse", "rows"]
NAMES += ["compile", "gradients", "scans", "resets", "streaming", "noise", "symbolic", "padding"]
NAMES += ["transforms", "checkpoint", "nnx_rnn", "saving"]
