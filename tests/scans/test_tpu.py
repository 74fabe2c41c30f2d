"""The kernel for a TPU, interpreted on the CPU, against one step after another."""

from typing import Any, NamedTuple

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.sharding import AxisType

from jax_rnn import (
    GRU,
    LSTM,
    GatedCell,
    GRUCell,
    HiddenCarry,
    LSTMCell,
    Recurrent,
    RecurrentDropout,
    Residual,
    RNNCell,
    VariationalDropout,
    Zoneout,
)
from jax_rnn.cells import (
    CATALOGUE,
    LayerNormLSTMCell,
    LearnedInitialState,
    PeepholeLSTMCell,
    SLSTMCell,
)
from jax_rnn.scans import AUTO, Sequential, Tpu, tpu_loop, tpu_memory
from jax_rnn.scans.runner import run_all
from jax_rnn.testing import check_scan
from tests.kit import cases, long, normal, refusals, refused, rngs

H, B, T = 4, 20, 6

TPU = Tpu(batch_block=8, steps=3, interpret=True)
"""Two programs over time for each of three blocks of rows, of which the last is not full."""


class Two(NamedTuple):
    """A carry whose fields have different sizes."""

    h: Any
    c: Any


class OddCell(GatedCell[Two]):
    """Separate gates, a changed argument of the hidden map, and y of other features than h."""

    gates = ("a", "b", "g")
    separate = ("b", "a")

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.output_size = 2 * self.hidden_size

    def hidden_input(self, carry):
        return jnp.sin(carry.h)

    def update(self, gates, carry):
        c = jnp.tanh(gates.a.x) * carry.c + jax.nn.sigmoid(gates.b.h) * gates.a.h
        h = gates.g * jax.nn.softplus(c) - gates.b.x
        return Two(h, c), jnp.concatenate([jnp.cos(c), h], -1)


CELLS = {
    "lstm": LSTMCell,
    "gru": GRUCell,
    "rnn": RNNCell,
    "relu": lambda *sizes, **options: RNNCell(*sizes, nonlinearity="relu", **options),
    "odd": OddCell,
    "no bias": lambda *sizes, **options: GRUCell(*sizes, bias=False, **options),
    "slstm": SLSTMCell,
}

RAGGED = {
    "mask": jnp.arange(T)[:, None] < (jnp.arange(B) % (T + 1)),
    "resets": jnp.arange(T)[:, None] == jnp.arange(B) % 5,
}


def outcome(scan, cell, dtype=jnp.float32, states=True, **options):
    """Outputs, last carry, carries of all steps, and gradients of all of them."""
    x = jnp.asarray(normal(T, B, 3), dtype)
    carry = cell.initialize_carry((B, 3))
    leaves = (0.3 * jnp.asarray(normal(*leaf.shape, seed=k)) for k, leaf in enumerate(carry))
    carry = type(carry)(*(a + b.astype(a.dtype) for a, b in zip(carry, leaves, strict=True)))

    @jax.jit
    def run(cell, carry, x):
        def values(cell, carry, x):
            last, y, every, _ = run_all(cell, carry, x, scan=scan, states=states, **options)
            return y, last, every

        out, back = jax.vjp(values, cell, carry, x)
        weights = jax.tree.map(lambda leaf: jnp.cos(jnp.arange(leaf.size)).reshape(leaf.shape), out)
        cotangents = jax.tree.map(lambda w, leaf: w.astype(leaf.dtype), weights, out)
        gradients = back(cotangents)
        return out, (nnx.to_pure_dict(nnx.state(gradients[0])), gradients[1:])

    return run(cell, carry, x)


@cases("name", CELLS, short=1)
def test_outputs_states_and_gradients_are_those_of_sequential(name, close):
    cell = CELLS[name](3, H, rngs=rngs())
    close(outcome(TPU, cell, **RAGGED), outcome(Sequential(), cell, **RAGGED), 1e-5)


@long
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("given", [(), ("mask",), ("resets",), ("mask", "resets")], ids=str)
def test_directions_masks_and_resets(given, reverse, close):
    cell = LSTMCell(3, H, rngs=rngs())
    options: Any = {name: RAGGED[name] for name in given} | {"reverse": reverse, "states": False}
    close(outcome(TPU, cell, **options), outcome(Sequential(), cell, **options), 1e-5)


@long
@pytest.mark.parametrize("rows", [None, 8, 16, 24])
@pytest.mark.parametrize("steps", [None, 1, 2, 4])
def test_blocks_do_not_change_the_result(steps, rows, close):
    cell = GRUCell(3, H, rngs=rngs())
    scan = Tpu(batch_block=rows, steps=steps, interpret=True)
    close(outcome(scan, cell, **RAGGED), outcome(Sequential(), cell, **RAGGED), 1e-5)


@long
@pytest.mark.parametrize("name", ["lstm", "gru", "rnn", "odd"])
def test_bfloat16(name, close):
    cell = CELLS[name](3, H, dtype=jnp.bfloat16, rngs=rngs())
    scan = Tpu(batch_block=16, interpret=True)
    found, expected = (outcome(one, cell, jnp.bfloat16, **RAGGED) for one in (scan, Sequential()))
    assert jax.tree.map(lambda leaf: leaf.dtype, found) == jax.tree.map(
        lambda leaf: leaf.dtype, expected
    )
    for one, other in zip(*map(jax.tree.leaves, (found, expected)), strict=True):
        scale = float(jnp.abs(other.astype(float)).max())
        np.testing.assert_allclose(one.astype(float), other.astype(float), atol=0.01 * scale)


WRAPPED = {
    "zoneout": lambda: Zoneout(LSTMCell(3, H, rngs=rngs()), h=0.3, c=0.2),
    "recurrent dropout": lambda: RecurrentDropout(GRUCell(3, H, rngs=rngs()), 0.3),
    "variational dropout": lambda: VariationalDropout(
        RNNCell(3, H, rngs=rngs()), input=0.2, hidden=0.4
    ),
    "learned state": lambda: LearnedInitialState(RNNCell(3, H, rngs=rngs())),
    "two": lambda: Zoneout(Residual(GRUCell(3, 3, rngs=rngs())), h=0.3),
}


@long
@pytest.mark.parametrize("name", WRAPPED)
@pytest.mark.parametrize("key", [None, 3])
def test_wrappers_and_their_random_numbers(key, name, close):
    cell = WRAPPED[name]()
    options = RAGGED | {"key": None if key is None else jax.random.key(key)}
    close(outcome(TPU, cell, **options), outcome(Sequential(), cell, **options), 1e-5)


@long
def test_the_exam_of_scans_is_passed():
    check_scan(Tpu(interpret=True))


def gradients(layer, x, **options):
    graphdef, params, rest = nnx.split(layer, nnx.Param, ...)

    @jax.jit
    def loss(params, x):
        output, last = nnx.merge(graphdef, params, rest)(x, **options)
        return jnp.sin(output).sum() + sum(leaf.sum() for leaf in jax.tree.leaves(last))

    return jax.value_and_grad(loss, (0, 1))(params, x)


@long
@pytest.mark.parametrize("batch", [(5,), ()])
def test_layers_of_two_directions_and_several_cells(batch, close):
    x = jnp.asarray(normal(T, *batch, 3), jnp.float32)
    options = {"lengths": jnp.array([6, 1, 0, 3, 5])} if batch else {}
    found, expected = (
        gradients(
            LSTM(3, H, num_layers=2, bidirectional=True, scan=scan, rngs=rngs()), x, **options
        )
        for scan in ("tpu", "sequential")
    )
    close(jax.tree.leaves(found), jax.tree.leaves(expected), 1e-5)


@long
def test_under_vmap_and_in_chunks(close):
    from jax_rnn.scans import Checkpointed

    x = jnp.asarray(normal(2, T, B, 3), jnp.float32)

    def of(scan):
        layer = GRU(3, H, scan=scan, rngs=rngs())
        return jax.vmap(lambda x: gradients(layer, x)[1][1])(x)

    close(of("tpu"), of("sequential"), 1e-5)
    close(of(Checkpointed(2, "tpu")), of("sequential"), 1e-5)


def test_auto_never_chooses_it_and_a_tpu_does_not_interpret_it():
    layer = LSTM(64, 64, rngs=rngs())
    assert not any(isinstance(scan, Tpu) for scan in layer.chosen_scans((100, 64, 64)))
    assert not any(isinstance(scan, Tpu) for scan in AUTO)
    cell, shape = LSTMCell(3, H, rngs=rngs()), (T, B, 3)
    assert not Tpu().suits(cell, shape, "tpu")
    found = {name: Tpu().resolved(cell, shape, name) for name in ("cpu", "cuda", "tpu")}
    assert [scan.interpret for scan in found.values()] == [True, True, False]
    assert Tpu(interpret=True).resolved(cell, shape, "tpu").interpret


def test_symbolic_and_empty_inputs_run_on_sequential():
    cell, (steps,) = LSTMCell(3, H, rngs=rngs()), jax.export.symbolic_shape("t")
    for shape in ((steps, B, 3), (T, 0, 3), (0, B, 3)):
        assert isinstance(Tpu().resolved(cell, shape, "tpu"), Sequential)


@long
def test_the_cells_of_the_catalogue_that_it_runs():
    found = {
        name for name, entry in CATALOGUE.items() if Tpu().supports(entry.build(4, 4, rngs=rngs()))
    }
    assert found == {"lstm", "gru", "rnn", "cifg_lstm", "ugrnn", "li_gru", "co_rnn", "slstm"}


@pytest.mark.parametrize(("name", "fields", "separate"), [("lstm", 2, 0), ("no bias", 1, 1)])
def test_the_memory_of_both_kernels_is_that_of_the_formula(name, fields, separate, monkeypatch):
    found = []

    def note(arrays, limits, name):
        sizes = tpu_memory.blocks_of(arrays, limits, name)
        found.append(tpu_memory.needed(arrays, sizes))
        return sizes

    monkeypatch.setattr(tpu_loop, "blocks_of", note)
    cell = CELLS[name](3, 200, rngs=rngs())
    x = jax.ShapeDtypeStruct((8, B, 3), jnp.float32)
    layer = Recurrent(cell, scan=Tpu(steps=4, interpret=True))
    jax.eval_shape(jax.grad(lambda x: layer(x)[0].sum()), x)
    rows, lines, gates = 24, 256, len(cell.gates)

    def need(arrays):
        weight = gates * 200 * lines * 4
        return weight + 4 * rows * lines * ((2 * 4 + 1) * arrays + 4 * fields)

    forward = 2 * gates + separate + fields + 1
    assert found[-2:] == [need(forward), need(forward + separate)]


class Constant(GatedCell[HiddenCarry]):
    gates = ("a",)

    def update(self, gates, carry):
        h = jnp.tanh(gates.a) * jnp.arange(4.0)
        return HiddenCarry(h), h


class Captured(Constant):
    def update(self, gates, carry):
        h = jnp.tanh(gates.a) * np.arange(4.0, dtype=np.float32)
        return HiddenCarry(h), h


class Contextual(Constant):
    def update(self, gates, carry, context=None):
        h = jnp.tanh(gates.a)
        return HiddenCarry(h), h


SMALL = Tpu(vmem=1)


def layer(cell, scan: Any = "tpu", shape=(T, B)):
    return Recurrent(cell, scan=scan)(jnp.zeros((*shape, cell.input_size), cell.dtype))


def of(kind, *sizes, scan: Any = "tpu", shape=(T, B), **options):
    return lambda: layer(kind(*(sizes or (3, H)), rngs=rngs(), **options), scan, shape)


test_what_it_does_not_run = refusals(
    [
        (of(LayerNormLSTMCell), ValueError, "without parameters|gain_c|scan='auto'"),
        (of(PeepholeLSTMCell), ValueError, "weight_ph"),
        (of(Captured), ValueError, "an array of shape (4,)"),
        (of(Contextual), ValueError, "without context"),
        (of(GRUCell, heads=2), ValueError, "a dense hidden map, got 2 heads"),
        (of(LSTMCell, 4, 400, scan=SMALL), ValueError, "at most 1 MiB|try fewer hidden units"),
        (of(LSTMCell, 4, 250, scan=SMALL, shape=(8, 8)), ValueError, "try bfloat16, or"),
        (of(GRUCell, 4, 64, scan=SMALL, shape=(8, 999)), ValueError, "batch_block=999|block=1"),
        (of(GRUCell, scan=Tpu(vmem=1, steps=6), shape=(T, 512)), ValueError, "try steps=1, batch"),
        (of(GRUCell, dtype=jnp.float16), ValueError, "float32 or bfloat16, got float16"),
        (
            of(GRUCell, dtype=jnp.bfloat16, scan=Tpu(batch_block=8)),
            ValueError,
            "a multiple of 16 for bfloat16, got 8",
        ),
        (lambda: Tpu(batch_block=12), ValueError, "a multiple of 8, got 12"),
        (lambda: Tpu(steps=0), ValueError, "Tpu.steps"),
        (lambda: Tpu(vmem=0), ValueError, "Tpu.vmem"),
    ]
)


def test_a_mesh_with_explicit_axes_is_refused():
    mesh = jax.make_mesh((1,), ("data",), axis_types=(AxisType.Explicit,))
    with jax.set_mesh(mesh):
        refused(ValueError, "not explicit|jax.shard_map|check_vma=False", of(RNNCell))


def test_no_derivative_but_the_first_in_reverse_mode():
    cell, x = Recurrent(RNNCell(2, 2, rngs=rngs()), scan="tpu"), jnp.ones((2, 1, 2))

    def loss(x):
        return (cell(x)[0] ** 2).sum()

    refused(TypeError, "forward-mode", lambda: jax.jvp(loss, (x,), (x,)))
    refused(NotImplementedError, "once, in reverse mode|scan='auto'", lambda: jax.hessian(loss)(x))
