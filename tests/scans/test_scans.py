"""Every scan against a Python loop over the steps."""

from collections import namedtuple
from functools import cache, partial
from typing import Any

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.nn import sigmoid

from jax_rnn import (
    GRU,
    Cell,
    GatedCell,
    GRUCell,
    HiddenCarry,
    LSTMCarry,
    LSTMCell,
    OriginalGRUCell,
    ProjectedLSTMCell,
    Recurrent,
    RecurrentDropout,
    RNNCell,
)
from jax_rnn.scans import Checkpointed, Gated, Sequential, run
from jax_rnn.scans.sizes import projects_inside
from tests import kit
from tests.cells.zoo import Wide
from tests.kit import cases, rngs

I, H, B, T = 3, 4, 2, 5  # noqa: E741

pytestmark = pytest.mark.usefixtures("x64")
sequential, gated = partial(run, scan="sequential"), partial(run, scan="gated")
SCANS = {
    "sequential": sequential,
    "gated": gated,
    "sequential in chunks": partial(run, scan=Checkpointed(2, "sequential")),
    "gated in chunks": partial(run, scan=Checkpointed(2, Gated(unroll=2))),
}
every_scan = cases("scan", SCANS.values(), ids=SCANS, short=2)
every_cell_some_way = cases(
    ("cell_type", "reverse"), [(GRUCell, True), (RNNCell, False), (LSTMCell, False)], short=1
)


def normal(*shape, seed=0):
    return jnp.asarray(kit.normal(*shape, seed=seed))


@cache
def example(cell_type, *batch):
    """A cell, a carry that is not zero, and inputs."""
    cell = cell_type(I, H, rngs=nnx.Rngs(2))
    fields = range(1, 1 + len(cell.carry_type._fields))
    carry = cell.carry_type(*(normal(*batch, H, seed=k) for k in fields))
    return cell, carry, normal(T, *batch, I)


def steps(cell, carry, xs, mask=None, reverse=False):
    """The definition: a Python loop; a step whose mask is False is not taken at all."""
    ys = [jnp.zeros(cell.hidden_size)] * len(xs)
    for t in reversed(range(len(xs))) if reverse else range(len(xs)):
        if mask is None or mask[t]:
            carry, ys[t] = cell(carry, xs[t])
    return carry, jnp.stack(ys)


def each_alone(cell, carry, xs, mask, reverse=False):
    """``steps`` for every sequence of a batch by itself."""

    def row(b):
        start = jax.tree.map(lambda leaf: leaf[b], carry)
        return steps(cell, start, xs[:, b], mask[:, b], reverse)

    carries, outputs = zip(*map(row, range(xs.shape[1])), strict=True)
    return jax.tree.map(lambda *rows: jnp.stack(rows), *carries), jnp.stack(outputs, axis=1)


def with_gradients(scan):
    """``scan``, returning values and the gradients of cell, carry and inputs for cotangents."""

    @jax.jit
    def run(cell, carry, xs):
        out, vjp = jax.vjp(scan, cell, carry, xs)
        dcell, *rest = vjp(jax.tree.map(lambda leaf: normal(*leaf.shape, seed=9), out))
        return out, nnx.to_pure_dict(nnx.state(dcell)), rest

    return run


@every_scan
@every_cell_some_way
def test_scan_is_one_step_after_another(cell_type, reverse, scan, close):
    ours, loop = (with_gradients(partial(each, reverse=reverse)) for each in (scan, steps))
    close(ours(*example(cell_type, B)), loop(*example(cell_type, B)))


def up_to(*lengths):
    return jnp.arange(T)[:, None] < jnp.array(lengths)


@every_scan
@every_cell_some_way
def test_masked_scan_runs_each_sequence_at_its_own_length(cell_type, reverse, scan, close):
    """What stands in the padding reaches no value and no gradient."""
    mask, (cell, carry, xs) = up_to(T, 3, 0, 1), example(cell_type, 4)
    ours = with_gradients(partial(scan, mask=mask, reverse=reverse))
    alone = with_gradients(partial(each_alone, mask=np.asarray(mask), reverse=reverse))
    expected = alone(cell, carry, xs)
    for padding in (0, jnp.nan, jnp.inf, 1e300):
        close(ours(cell, carry, jnp.where(mask[..., None], xs, padding)), expected)


@every_scan
@cases(("batch", "reverse"), [((), False), ((2, 3), False), ((2, 3), True)], short=3)
def test_any_mask_with_any_batch_axes_skips_its_steps(batch, reverse, scan, close):
    cell, carry, xs = example(LSTMCell, *batch)
    mask = np.random.default_rng(1).random((T, *batch)) < 0.6
    assert 0 < mask.sum() < mask.size

    def flat(leaf, axes=0):
        return leaf.reshape(*leaf.shape[:axes], -1, leaf.shape[-1])

    rows = jax.tree.map(flat, carry), flat(xs, axes=1), mask.reshape(T, -1)
    last, ys = scan(cell, carry, xs, mask=jnp.asarray(mask), reverse=reverse)
    assert ys.shape == (T, *batch, H)
    expected = each_alone(cell, *rows, reverse)
    close((jax.tree.map(flat, last), flat(ys, axes=1)), expected)


Tally = namedtuple("Tally", "matrix count")


class Counting(Cell[Tally]):
    """Counts its steps, in a matrix for every sequence and in a number."""

    input_size = hidden_size = I

    def initialize_carry(self, input_shape, rngs=None, carry_init=None):
        batch = input_shape[:-1]
        return Tally(jnp.zeros((*batch, 2, 3)), jnp.zeros(batch, jnp.int32))

    def step(self, carry, x):
        return Tally(carry.matrix + 1, carry.count + 1), x


def test_a_carry_may_have_more_axes_than_the_mask_or_fewer_than_the_input():
    cell, xs, mask = Counting(), normal(T, B, I), up_to(T, 2)
    tally, ys = sequential(cell, cell.initialize_carry((B, I)), xs, mask=mask)
    np.testing.assert_array_equal(tally.count, [T, 2])
    np.testing.assert_array_equal(tally.matrix, np.full((B, 2, 3), [[[T]], [[2]]]))
    np.testing.assert_array_equal(ys, jnp.where(mask[..., None], xs, 0))


class MixedCell(GatedCell[HiddenCarry]):
    """Reads both maps of its gates, a weight of the maps again, and two more parameters."""

    gates = ("a", "b")
    separate = ("a", "b")

    def __init__(self, input_size, hidden_size, *, rngs):
        super().__init__(input_size, hidden_size, rngs=rngs)
        self.scale = nnx.Param(jnp.asarray(0.7))
        self.norm = nnx.LayerNorm(H, rngs=rngs)

    def update(self, gates, carry):
        a = jnp.tanh(gates.a.x * gates.a.h + self.weight_ih[:H, 0])
        h = self.norm(a + gates.b.x) * self.scale + gates.b.h + 0.3 * carry.h
        return HiddenCarry(h), jnp.sin(h)


class UnpackedCell(GatedCell[HiddenCarry]):
    """Unpacks its gates, and ignores one of them."""

    gates = ("a", "b", "unused")

    def update(self, gates, carry):
        a, b, _ = gates
        h = jnp.tanh(a) * b + 0.5 * carry.h
        return HiddenCarry(h), h


class CrossedCell(GatedCell[HiddenCarry]):
    """Adds its maps, but not each gate to the same gate; the first gate reads only its sum."""

    gates = ("first", "a", "unused", "b")
    separate = ("a", "unused", "b")

    def update(self, gates, carry):
        h = jnp.tanh(gates.a.x + gates.b.h) * (gates.b.x + gates.a.h)
        h = h + gates.first * (1.0 - carry.h)
        return HiddenCarry(h), h


GATED = {
    "RNNCell": RNNCell,
    "LSTMCell": LSTMCell,
    "GRUCell": GRUCell,
    "ProjectedLSTMCell": partial(ProjectedLSTMCell, proj_size=3),
    "GRUCell without biases": partial(GRUCell, bias=False),
    "MixedCell": MixedCell,
    "UnpackedCell": UnpackedCell,
    "CrossedCell": CrossedCell,
    "Wide": Wide,
    "LSTMCell, 2 heads": partial(LSTMCell, heads=2),
    "GRUCell, diagonal": partial(GRUCell, heads=H),
    "ProjectedLSTMCell, 2 heads": partial(ProjectedLSTMCell, proj_size=2, heads=2),
}


@pytest.mark.parametrize(
    ("kind", "size", "shape", "forward", "gradient"),
    [
        (LSTMCell, 200, (35, 32, 200), False, True),  # a weight that a core's cache holds
        (LSTMCell, 200, (35, 200), False, False),  # one row
        (RNNCell, 400, (35, 32, 400), False, False),  # one gate
        (LSTMCell, 64, (35, 32, 64), False, False),
        (LSTMCell, 650, (35, 20, 650), False, False),
        (LSTMCell, 256, (256, 64, 256), True, True),  # more than 32 MiB once projected
    ],
)
def test_where_inputs_are_projected_goes_by_size(kind, size, shape, forward, gradient):
    cell = kind(shape[-1], size, dtype="float32", rngs=nnx.Rngs(0))
    place = partial(projects_inside, cell, shape)
    assert (place(keep=False), place(keep=True)) == (forward, gradient)
    if size == 200:  # the hidden product waits for the mask
        assert not projects_inside(RecurrentDropout(cell, 0.2), shape, keep=True, changed=True)


@cases("name", GATED, short=2)
@cases("project", ["inside", "before"], short=2)
def test_gated_scan_is_the_sequential_one(name, project):
    cell = GATED[name](I, H, rngs=nnx.Rngs(3))
    fast_scan = partial(run, scan=Gated(project=project, pack=project == "inside"))
    assert Gated().supports(cell)
    carry = jax.tree.map(lambda leaf: normal(*leaf.shape), cell.initialize_carry((B, I)))
    for options in ({}, {"reverse": True}, {"mask": up_to(T, 2), "reverse": True}):
        (fast, *fast_grads), (plain, *grads) = (
            with_gradients(partial(scan, **options))(cell, carry, normal(T, B, I))
            for scan in (fast_scan, sequential)
        )
        assert_near(fast, plain, 1e-12)
        assert_near(fast_grads, grads, 1e-10)


def assert_near(actual, expected, tolerance):
    actual, expected = jax.tree.leaves(actual), jax.tree.leaves(expected)
    assert len(actual) == len(expected)
    for a, b in zip(actual, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance)


def unpacked(self, gates, carry):
    i, f, g, o = gates
    c = sigmoid(f) * carry.c + sigmoid(i) * jnp.tanh(g)
    h = sigmoid(o) * jnp.tanh(c)
    return LSTMCarry(h, c), h


def repeated(self, gates, carry):
    (_, c), h = unpacked(self, gates, carry)
    return LSTMCarry(sigmoid(gates.o) * jnp.tanh(c), c), h


def in_a_function(self, gates, carry):
    return jax.jit(lambda *arguments: unpacked(None, *arguments))(gates, carry)


def scaled(self, gates, carry):
    c = sigmoid(gates.f) * carry.c + sigmoid(gates.i) * jnp.tanh(gates.g) * self.scale[...]
    h = sigmoid(gates.o) * jnp.tanh(c)
    return LSTMCarry(h, c), h


@pytest.mark.long
def test_the_spelling_of_an_update_does_not_change_the_memory():
    """Temporaries of a gradient: the gates used in place, unpacked, in a function, scaled."""

    def temporaries(update):
        kind = type("Spelled", (LSTMCell,), {"update": update})
        cell = kind(32, 32, dtype="float32", rngs=rngs())
        cell.scale = nnx.Param(jnp.ones((), cell.dtype))
        graphdef, params = nnx.split(cell)
        xs = jax.ShapeDtypeStruct((20, 16, 32), jnp.float32)

        def loss(params, xs):
            cell = nnx.merge(graphdef, params)
            return gated(cell, cell.initialize_carry((16, 32)), xs)[1].sum()

        compiled = jax.jit(jax.grad(loss)).lower(params, xs).compile()
        analysis: Any = compiled.memory_analysis()
        return analysis.temp_size_in_bytes

    own = temporaries(LSTMCell.update)
    for update in (unpacked, in_a_function, scaled):
        assert temporaries(update) <= 1.02 * own, update
    step = 20 * 16 * 32 * 4  # its output is not the array of its state, so both are stored
    assert temporaries(repeated) <= 1.02 * own + step


def squares(scan, cell, carry, xs):
    (last, ys) = scan(cell, carry, xs)
    return (ys**2).sum() + jnp.cos(last.h).sum()


@cases("cell_type", [LSTMCell, GRUCell], short=0)
def test_gated_scan_has_forward_mode_and_second_derivatives(cell_type, close):
    cell, carry, xs = example(cell_type, B)
    graphdef, params = nnx.split(cell)

    def of(scan, params, xs):
        return squares(scan, nnx.merge(graphdef, params), carry, xs)

    direction = jax.tree.map(lambda p: normal(*p.shape, seed=4), params), normal(T, B, I, seed=5)

    def derivatives(scan):
        at = (params, xs)
        value = partial(of, scan)
        gradient = jax.grad(value, argnums=(0, 1))
        return (
            jax.jvp(value, at, direction),
            jax.jvp(gradient, at, direction),  # forward over reverse
            jax.grad(lambda xs: (gradient(params, xs)[1] ** 2).sum())(xs),  # reverse over reverse
            jax.grad(lambda xs: jax.jvp(lambda x: value(params, x), (xs,), direction[1:])[1])(xs),
        )

    fast, plain = (jax.jit(partial(derivatives, scan))() for scan in (gated, sequential))
    close(jax.tree.leaves(fast), jax.tree.leaves(plain))


@cases("weights", ["shared", "of every example"], short=1)
def test_gated_scan_under_vmap(weights, close):
    cell, carry, xs = example(GRUCell, B)
    graphdef, params = nnx.split(cell)
    if weights == "of every example":
        params = jax.tree.map(lambda p: jnp.stack([p, 2 * p]), params)
    axes = (None if weights == "shared" else 0, 0, 1)

    def graded(scan):
        def loss(params, carry, xs):
            return squares(scan, nnx.merge(graphdef, params), carry, xs)

        grad = jax.value_and_grad(loss, argnums=(0, 1, 2))
        return jax.tree.leaves(jax.jit(jax.vmap(grad, in_axes=axes))(params, carry, xs))

    close(graded(gated), graded(sequential))


def test_gated_scan_inside_checkpoint_and_scan(close):
    def twice(scan, cell, carry, xs):
        once = jax.checkpoint(lambda carry, xs: scan(cell, carry, xs))
        return jax.lax.scan(once, carry, jnp.stack([xs, xs[::-1]]))

    fast, plain = (with_gradients(partial(twice, scan)) for scan in (gated, sequential))
    close(fast(*example(LSTMCell, B)), plain(*example(LSTMCell, B)))


@cases("every", [None, 7], short=1)
def test_gradients_of_half_precision_are_summed_in_float32(every):
    cell = GRUCell(I, H, dtype=jnp.bfloat16, rngs=nnx.Rngs(0))
    xs = normal(2000, B, I).astype(jnp.bfloat16)
    wide = jax.tree.map(lambda p: p.astype(jnp.float32), cell)

    def gradients(cell, xs, scan):
        @jax.jit
        def loss(cell):
            _, ys = run(cell, cell.initialize_carry((B, I)), xs, scan=scan)
            return ys.astype("float32").sum()

        return nnx.to_pure_dict(nnx.state(jax.grad(loss)(cell)))

    ours = gradients(cell, xs, "gated" if every is None else Checkpointed(every, "gated"))
    for name, leaf in gradients(wide, xs.astype(jnp.float32), "sequential").items():
        assert ours[name].dtype == jnp.bfloat16
        gap = np.abs(np.asarray(ours[name], np.float32) - leaf).max()
        assert gap < 2**-6 * np.abs(leaf).max(), name  # some roundings of 2**-9 each


def test_the_scan_is_chosen_and_can_be_seen():
    fast, plain = Gated(1, "before", False), Sequential(1, "before", 1)
    tiny = Sequential(1, "inside", 1)
    wide = GRU(I, 32, 2, bidirectional=True, rngs=rngs())
    assert wide.chosen_scans((T, B, I)) == (fast,) * 4
    assert wide.chosen_scans((T, I)) == (Sequential(1, "inside", T),) * 4  # few tiny steps
    assert wide.chosen_scans((20, I)) == (tiny,) * 4
    assert GRU(I, 8, batch_first=True, rngs=rngs()).chosen_scans((9, 20, I)) == (fast,)
    assert GRU(I, 8, batch_first=True, rngs=rngs()).chosen_scans((5, 20, I)) == (tiny,)
    assert GRU(I, H, scan="gated", rngs=rngs()).chosen_scans((T, I)) == (fast,)
    assert GRU(I, 32, scan="sequential", rngs=rngs()).chosen_scans((T, 9, I)) == (plain,)
    assert Recurrent(OriginalGRUCell(I, 32, rngs=rngs())).chosen_scans((T, 9, I)) == (plain,)
    on_gpu = wide.chosen_scans((128, 32, I), "cuda")
    assert on_gpu == (Gated(8, "before", True),) * 4
    unrolled = [wide.chosen_scans((t, 32, I), "cuda")[0].unroll for t in (15, 35, 37, 100)]
    assert unrolled == [1, 7, 8, 10]
    assert wide.chosen_scans((128, 32, I), "tpu") == (fast,) * 4
    assert "scan='auto'" in repr(wide)
    assert not Gated().supports(Counting())


def test_chunks_keep_less_and_give_the_same(close):
    def gradient(every):
        scan = "gated" if every is None else Checkpointed(every, "gated")
        layer = GRU(I, H, scan=scan, rngs=nnx.Rngs(0))
        graphdef, params = nnx.split(layer)
        xs = normal(1000, B, I)
        grad = jax.jit(jax.grad(lambda p: (nnx.merge(graphdef, p)(xs)[0] ** 2).sum()))
        compiled = grad.lower(params).compile()
        analysis: Any = compiled.memory_analysis()
        return analysis.temp_size_in_bytes, compiled(params)

    (all_of_it, plain), (chunks, same) = gradient(None), gradient(25)
    close(jax.tree.leaves(same), jax.tree.leaves(plain))
    assert chunks < all_of_it / 3
