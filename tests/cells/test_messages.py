"""What an author gets wrong is said in words, without a traceback of JAX; and states of y."""

import re
from collections import namedtuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from jax_rnn import (
    GRU,
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
from jax_rnn.testing.questions import QUESTIONS
from tests.cells.zoo import Counting, OneState, Ticks, kind
from tests.kit import refused, rngs

I, H, B, T = 3, 4, 2, 5  # noqa: E741


Hidden = namedtuple("Hidden", "state")
ReturnsAnArray = kind("ReturnsAnArray", GRUCell, update=lambda self, gates, carry: carry.h)
ReturnsACarry = kind("ReturnsACarry", LSTMCell, update=lambda self, gates, c: LSTMCarry(*c))
StepsInside = kind("StepsInside", Wrapper, on_update=lambda self, old, _, y: self.cell.step(old, y))
WithoutSize = kind("WithoutSize", OneState, __init__=lambda self: setattr(self, "hidden_size", H))
WithoutH = kind(
    "WithoutH", GatedCell[Hidden], gates=("a",), update=lambda self, gates, carry: carry
)


class OtherDtype(GRUCell):
    def update(self, gates, carry):
        h = super().update(gates, carry)[1].astype(jnp.bfloat16)
        return HiddenCarry(h), h


class OtherWeights(OneState):
    """A linear map of Flax in float32, in a cell whose own parameter follows JAX's default."""

    def __init__(self):
        super().__init__(H, H)
        self.a = nnx.Param(jnp.ones(H))
        self.linear = nnx.Linear(H, H, rngs=rngs())

    def step(self, carry, x):
        h = self.linear(x).astype(jnp.float32) * self.a[...].astype(jnp.float32)
        return HiddenCarry(h), h


class DrawsInVain(GRUCell):
    def noise(self, key, batch):
        return jax.random.normal(key, (*batch, H))

    def update(self, gates, carry, numbers=None):
        return super().update(gates, carry)


def of(kind, *sizes):
    return kind(*(sizes or (I, H)), rngs=rngs())


def run(cell, scan):
    return Recurrent(cell, scan=scan)(jnp.ones((T, B, I)))


TE, VE = TypeError, ValueError
# (call, error, words)
MISTAKES = [
    (
        lambda scan: run(of(ReturnsAnArray), scan),
        TE,
        "ReturnsAnArray: expected update to return a HiddenCarry and y, an array|"
        "got a float32 array|; write e.g. return HiddenCarry(h), h",
    ),
    (lambda scan: run(of(ReturnsACarry), scan), TE, "expected update to return a LSTMCarry and y"),
    (
        lambda scan: run(of(OtherDtype), scan),
        VE,
        "the dtype that it has before the step, float32, got bfloat16; |h.astype",
    ),
    (
        lambda scan: of(WithoutH),
        TE,
        "WithoutH: expected a carry with a field h, which the hidden map reads, got Hidden",
    ),
    (
        lambda scan: Recurrent(WithoutSize(), scan=scan),
        AttributeError,
        "WithoutSize: expected input_size to be set, got none; write e.g. self.input_size",
    ),
    (
        lambda scan: run(Zoneout(of(DrawsInVain), h=0.1), scan),
        TE,
        "expected a method of DrawsInVain to take the random numbers that it draws, got none",
    ),
    (
        lambda scan: run(StepsInside(of(GRUCell)), scan),
        TE,
        "GRUCell.step: expected the result of project|of the gates r, z, n, got a float32 array",
    ),
]


@pytest.mark.parametrize("row", MISTAKES, ids=lambda row: row[2][:40])
@pytest.mark.parametrize("scan", ["auto", "sequential", "gated"])
def test_a_mistake_of_an_author_is_said_in_words(row, scan, unchecked):
    call, error, words = row
    refused(error, words, lambda: call(scan))


def test_weights_of_flax_in_another_dtype_are_named_with_the_remedy(x64):
    layer, words = Recurrent(OtherWeights()), "float32 and float64|nnx.Linear(..., param_dtype"
    refused(ValueError, words, lambda: layer(jnp.ones((T, B, H))))


@pytest.mark.skipif(len(jax.devices()) < 2, reason="needs two devices")
def test_an_explicit_mesh_is_found_in_a_program_and_named_outside(close):
    mesh = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Explicit,))
    x = jax.device_put(jnp.ones((T, B, I)), NamedSharding(mesh, PartitionSpec(None, "data")))
    for layer in (of(GRU), of(GRU, I, 64)):

        def loss(layer, x):
            return (layer(x)[0] ** 2).sum()

        words = "expected a mesh to be set |jax.set_mesh(mesh)"
        refused(ValueError, words, lambda loss=loss, layer=layer: jax.grad(loss)(layer, x))
        assert layer(x)[0].shape == jax.jit(lambda x, layer=layer: layer(x)[0])(x).shape
        compiled = jax.jit(jax.grad(loss, (0, 1)))
        expected = compiled(layer, np.asarray(x))
        close(jax.tree.leaves(compiled(layer, x)), jax.tree.leaves(expected), 1e-5)
        with jax.set_mesh(mesh):
            assert layer(x)[0].shape[0] == T
            jax.grad(loss)(layer, x)


class Turning(Counting):
    def initialize_carry(self, input_shape, rngs=None, carry_init=None):
        batch = input_shape[:-1]
        zeros = jnp.zeros((*batch, self.hidden_size))
        return Ticks(zeros, zeros.astype(complex))


class Clipped(Wrapper):
    def on_update(self, old, new, y):
        return jax.tree.map(lambda leaf: jnp.clip(leaf, -1, 1), new), y


FLOATS = "does not run on Gated: expected a carry of floats, got ticks of"
REASONS = [
    (Counting, Gated(), f"Counting {FLOATS} int32"),
    (Turning, Gated(), f"Turning {FLOATS} complex64"),
    (
        lambda *sizes, rngs: Clipped(MinGRUCell(*sizes, rngs=rngs)),
        Associative(),
        "Clipped does not run on Associative: .*wrappers whose on_update changes the carry",
    ),
]


class TestReasons:
    @pytest.mark.parametrize(("build", "fast", "words"), REASONS)
    def test_the_reason_for_a_slow_scan_is_stated(self, build, fast, words):
        cell = of(build, I, 64)
        found = Recurrent(cell).chosen_scans((20, 9, I), "cpu")
        assert isinstance(found[0], Sequential)
        assert re.match(words, found.reasons[0] or "")
        assert found.reasons[0] in repr(found)
        refused(
            ValueError, "expected |, got |; scan='auto' chooses", lambda: Recurrent(cell, scan=fast)
        )

    def test_there_is_no_reason_where_nothing_is_to_be_done(self):
        for cell in (of(GRUCell, I, 64), GRUCell(I, 2, rngs=rngs())):
            found = Recurrent(cell).chosen_scans((20, 9, I), "cpu")
            assert found.reasons == (None,) and "\n" not in repr(found)

    def test_check_cell_states_the_reason(self):
        names = {question.name for question in QUESTIONS}
        with pytest.warns(
            UserWarning, match=r"Counting does not run on Gated: expected a carry of fl"
        ):
            check_cell(of(Counting, I, 6), skip=names - {"scans"})
