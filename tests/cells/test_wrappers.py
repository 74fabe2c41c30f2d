"""Zoneout, dropout inside cells, residual connections, learned initial states, and compositions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.sharding import NamedSharding, PartitionSpec

from jax_rnn import (
    GatedCell,
    GRUCell,
    HiddenCarry,
    LearnedInitialState,
    LinearCell,
    LSTMCell,
    MinGRUCell,
    OriginalGRUCell,
    Recurrent,
    RecurrentDropout,
    Residual,
    RNNCell,
    VariationalDropout,
    Zoneout,
)
from jax_rnn.cells.randomness import draw_step
from jax_rnn.scans import Checkpointed, Gated
from jax_rnn.scans.step import noise_of
from jax_rnn.testing import check_cell
from tests import kit
from tests.cells.zoo import Wide
from tests.kit import cases, refusals, refused, rngs

I, H, B, T = 3, 4, 2, 5  # noqa: E741


def composed(cell):
    return Residual(Zoneout(VariationalDropout(LearnedInitialState(cell), input=0.3), h=0.4))


CELLS = {
    "Zoneout": lambda: Zoneout(LSTMCell(I, H, rngs=rngs()), h=0.3, c=0.6),
    "RecurrentDropout": lambda: RecurrentDropout(GRUCell(I, H, rngs=rngs()), 0.4),
    "VariationalDropout": lambda: VariationalDropout(
        LSTMCell(I, H, rngs=rngs()), input=0.3, hidden=0.5
    ),
    "Residual": lambda: Residual(GRUCell(H, H, rngs=rngs())),
    "LearnedInitialState": lambda: LearnedInitialState(LSTMCell(I, H, rngs=rngs())),
    "composed": lambda: composed(LSTMCell(H, H, rngs=rngs())),
    "another order": lambda: VariationalDropout(
        Zoneout(Residual(RecurrentDropout(RNNCell(H, H, rngs=rngs()), 0.2)), h=0.5), hidden=0.3
    ),
    "of a cell without gates": lambda: Zoneout(Residual(OriginalGRUCell(H, H, rngs=rngs())), h=0.5),
}
GATED = [name for name in CELLS if name != "of a cell without gates"]
LENGTHS = np.array([T, 3])


def inputs(cell):
    return jnp.asarray(kit.normal(T, B, cell.input_size))


def training(scan, cell, x, **options):
    """Outputs, states and gradients with a fixed key."""
    graphdef, params, rest = nnx.split(cell, nnx.Param, ...)

    @jax.jit
    def graded(params, x):
        def loss(params, x):
            layer = Recurrent(nnx.merge(graphdef, params, rest), scan=scan)
            result = layer(x, rngs=jax.random.key(3), **options)
            return sum((leaf**2).sum() for leaf in jax.tree.leaves(result)), result

        return jax.value_and_grad(loss, (0, 1), has_aux=True)(params, x)

    return jax.tree.leaves(graded(params, x))


@cases("name", CELLS, short=2)
def test_the_checks_of_cells_pass(name):
    check_cell(CELLS[name]())


@cases("name", CELLS, short=2)
@cases(
    "options",
    [{}, {"lengths": LENGTHS, "resets": np.arange(T * B).reshape(T, B) % 3 == 2}],
    short=1,
)
def test_every_scan_draws_the_same_numbers(name, options, x64, close):
    cell = CELLS[name]()
    expected = training("sequential", cell, inputs(cell), **options)
    scans = [Checkpointed(2, "sequential")]
    if name in GATED:
        scans += ["gated", Checkpointed(2, "gated"), Gated(unroll=3, project="inside")]
    for scan in scans:
        close(training(scan, cell, inputs(cell), **options), expected, 1e-10)


@pytest.mark.parametrize("name", GATED)
def test_a_wrapped_gated_cell_keeps_the_fast_scan(name):
    assert Gated().supports(CELLS[name]())


@pytest.mark.skipif(len(jax.devices()) < 2, reason="needs two devices")
@pytest.mark.long
def test_a_mesh_draws_the_same_numbers(x64, close):
    layer = Recurrent(CELLS["composed"](), scan="gated")
    x = inputs(layer)
    graphdef, state = nnx.split(layer)
    call = jax.jit(lambda state, x: nnx.merge(graphdef, state)(x, rngs=jax.random.key(1)))
    mesh = jax.make_mesh((2,), ("data",))
    spread = jax.device_put(x, NamedSharding(mesh, PartitionSpec(None, "data")))
    close(jax.tree.leaves(call(state, spread)), jax.tree.leaves(call(state, x)))


def test_zoneout_keeps_old_values_at_its_rate_and_uses_the_expectation_in_evaluation(x64, close):
    rates = {"h": 0.2, "c": 0.7}
    bare = LSTMCell(I, H, rngs=rngs())
    cell = Zoneout(bare, **rates)
    carry = type(bare.initialize_carry((I,)))(*(jnp.asarray(kit.normal(H, seed=k)) for k in (1, 2)))
    x = jnp.asarray(kit.normal(I))
    new, _ = bare(carry, x)
    rows = 4000
    many = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (rows, *leaf.shape)), (carry, x))
    noise = noise_of(*draw_step(cell, jax.random.key(0), 0, many[1]))
    drawn, y = cell.step(many[0], cell.project(many[1]), noise)
    for name, rate in rates.items():
        old, now, got = (getattr(c, name) for c in (carry, new, drawn))
        kept = got == old
        assert (kept | (abs(got - now) < 1e-12)).all()
        assert abs(kept.mean() - rate) < 5 * np.sqrt(rate * (1 - rate) / kept.size)
    np.testing.assert_array_equal(y, drawn.h)
    expected, _ = cell(carry, x)
    for name, rate in rates.items():
        close(
            getattr(expected, name), rate * getattr(carry, name) + (1 - rate) * getattr(new, name)
        )


def test_masks_of_dropout_are_scaled_and_new_in_every_step_or_the_same(x64):
    identity = nnx.Rngs(0)
    per_step = RecurrentDropout(GRUCell(I, 400, rngs=identity), 0.25)
    per_sequence = VariationalDropout(GRUCell(I, 400, rngs=identity), hidden=0.25)
    key = jax.random.key(0)
    masks = [per_step.noise(jax.random.fold_in(key, t), (B,)) for t in range(3)]
    assert {*np.unique(masks[0])} == {0, np.float64(1 / 0.75)}
    assert not np.array_equal(masks[0], masks[1])
    assert abs(np.mean(masks) - 1) < 0.05
    assert per_sequence.noise(key, (B,)) is None
    _, hidden = per_sequence.sequence_noise(key, (B,))
    assert hidden.shape == (B, 400)
    assert not np.array_equal(hidden[0], hidden[1])


def test_training_without_rngs_is_refused_and_evaluation_needs_none():
    layer = Recurrent(CELLS["Zoneout"]())
    words = "training with a cell that draws random numbers, got none"
    refused(ValueError, words, lambda: layer(jnp.zeros((T, B, I))))
    layer.eval()
    assert layer(jnp.zeros((T, B, I)))[0].shape == (T, B, H)


def test_a_learned_initial_state_is_the_state_before_the_first_step_and_gets_a_gradient(close):
    cell = LearnedInitialState(LSTMCell(I, H, rngs=rngs()))
    cell.initial["c"][...] = jnp.arange(4.0)
    carry = cell.initialize_carry((B, I))
    close(carry.c, np.broadcast_to(np.arange(4.0), (B, H)))
    layer = Recurrent(cell)
    gradient = nnx.grad(lambda layer: layer(jnp.ones((T, B, I)))[0].sum())(layer)
    assert (gradient["cells"][0]["initial"]["c"][...] != 0).all()


def gru():
    return GRUCell(I, H, rngs=rngs())


TE, VE = TypeError, ValueError
# (call, error, words)
ROWS = [
    (lambda: Zoneout(GRUCell), TE, "Zoneout: expected a cell, got <class"),
    (lambda: Zoneout(gru(), c=0.1), VE, "fields of the carry, h, got c"),
    (lambda: Zoneout(gru(), h=1.5), VE, "h: expected a number from 0"),
    (lambda: RecurrentDropout(gru(), 1), VE, "at least 0 and below 1"),
    (
        lambda: RecurrentDropout(MinGRUCell(I, H, rngs=rngs()), 0.1),
        TE,
        "expected a GatedCell, whose hidden map reads the state, got MinGRUCell",
    ),
    (lambda: Residual(gru()), VE, "features, got 4 and 3"),
]


test_misuse_is_refused = refusals(ROWS, "unchecked")


@pytest.mark.long
def test_wrappers_of_linear_cells(x64, close):
    def cell():
        return MinGRUCell(H, H, rngs=rngs())

    layer = Recurrent(Residual(cell()))
    assert "Associative" in str(layer.chosen_scans((T, B, H)))
    x = jnp.asarray(kit.normal(T, B, H))
    close(layer(x)[0], Recurrent(cell())(x)[0] + x)
    zoned = Recurrent(Zoneout(cell(), h=0.5))
    assert "Sequential" in str(zoned.chosen_scans((T, B, H)))


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
