"""Linear cells, of numbers and of small blocks: every form of the scan against the definition."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from jax_rnn import Blocks, HiddenCarry, LinearCell, LRUCell, MinGRUCell, Recurrent, Residual
from jax_rnn.cells import SelectiveSSMCell
from jax_rnn.scans import Associative, Checkpointed, Gated, Sequential, run
from jax_rnn.scans.recurrence import Plan, linear_recurrence
from jax_rnn.testing import check_cell
from tests import kit
from tests.kit import cases

I, H, B, T = 3, 4, 2, 7  # noqa: E741

pytestmark = pytest.mark.usefixtures("x64")


class Oscillators(NamedTuple):
    h: Any
    """Velocity and position of every oscillator, (*batch, P, 2)."""


class LinOSSCell(LinearCell[Oscillators]):
    """Forced oscillators, discretized implicitly and explicitly (Rusch and Rus, 2024)."""

    def __init__(self, input_size, hidden_size, *, rngs):
        self.input_size, self.hidden_size = input_size, hidden_size
        self.stiffness = nnx.Param(jax.random.normal(rngs.params(), hidden_size))
        self.step_size = nnx.Param(jax.random.normal(rngs.params(), hidden_size))
        self.b = nnx.Param(jax.random.normal(rngs.params(), (hidden_size, input_size)))
        self.c = nnx.Param(jax.random.normal(rngs.params(), (hidden_size, hidden_size)))

    def coefficients(self, x):
        a, dt = nnx.relu(self.stiffness[...]) + 0.1, nnx.sigmoid(self.step_size[...])
        rows = [[jnp.ones_like(a), -dt * a], [dt, 1 - dt**2 * a]]
        force = dt * (x @ self.b[...].T)
        matrix = jnp.moveaxis(jnp.array(rows), 2, 0)  # (P, 2, 2)
        return Oscillators(Blocks(matrix)), Oscillators(jnp.stack([force, dt * force], -1))

    def output(self, carry, x):
        return carry.h[..., 1] @ self.c[...].T


class Mixing(LinearCell[HiddenCarry]):
    """Matrices that depend on the input and do not commute, of three planes."""

    def __init__(self, *sizes, rngs):
        self.input_size = self.hidden_size = 6

    def coefficients(self, x):
        angle = x.reshape(*x.shape[:-1], 3, 2)
        cos, sin = jnp.cos(angle[..., 0]), jnp.sin(angle[..., 0])
        matrix = jnp.stack([jnp.stack([cos, angle[..., 1]], -1), jnp.stack([sin, 1 - cos], -1)], -2)
        return HiddenCarry(Blocks(0.6 * matrix)), HiddenCarry(angle)

    def output(self, carry, x):
        return carry.h.reshape(*carry.h.shape[:-2], 6)


BLOCKS = {"LinOSSCell": LinOSSCell, "Mixing": Mixing}
CELLS = {"MinGRUCell": MinGRUCell, "LRUCell": LRUCell} | BLOCKS
SCANS = {
    "parallel": Associative(parallel=True),
    "loop": Associative(parallel=False),
    "3 blocks of time": Associative(parallel=True, blocks=3),
    "chunks": Checkpointed(3, Associative(parallel=True)),
}
UP_TO = jnp.arange(T)[:, None] < jnp.array([T, 3])
RESETS = jnp.zeros((T, B), bool).at[2, 0].set(True).at[1, 1].set(True).at[5].set(True)
OPTIONS = {
    "plain": {},
    "masked": {"mask": UP_TO},
    "masked, reset, reverse": {"mask": UP_TO, "resets": RESETS, "reverse": True},
}


def normal(*shape, seed=0, dtype=float):
    values = kit.normal(*shape, seed=seed)
    if jnp.issubdtype(dtype, jnp.complexfloating):
        values = values + 1j * kit.normal(*shape, seed=seed + 1)
    return jnp.asarray(values)


def example(kind, *batch):
    """A cell, a carry that is not zero, and inputs."""
    cell = kind(I, H, rngs=nnx.Rngs(1))
    zeros = cell.initialize_carry((*batch, cell.input_size))
    carry = jax.tree.map(lambda leaf: normal(*leaf.shape, seed=2, dtype=leaf.dtype), zeros)
    return cell, carry, normal(T, *batch, cell.input_size)


def derivatives(scan, options, cell, carry, xs):
    """Values, gradients, and the gradient of a function of the gradient."""
    graphdef, params = nnx.split(cell)

    def loss(params, carry, xs):
        last, ys = run(nnx.merge(graphdef, params), carry, xs, scan=scan, **options)
        return (ys**2).sum() + sum((jnp.abs(leaf) ** 2).sum() for leaf in last), (last, ys)

    def graded(params, carry, xs):
        return jax.value_and_grad(loss, argnums=(0, 1, 2), has_aux=True)(params, carry, xs)

    first = graded(params, carry, xs)

    def of_gradient(xs):
        return (graded(params, carry, xs)[1][2] ** 2).sum()

    return first, jax.grad(of_gradient)(xs), jax.jvp(of_gradient, (xs,), (jnp.cos(xs),))


@cases("options", reversed(OPTIONS), short=1)
@cases("scan", SCANS, short=2)
@cases("kind", reversed(CELLS), short=1)
def test_every_form_is_the_sequential_scan_in_values_and_derivatives(kind, scan, options, close):
    arguments = example(CELLS[kind], B)
    ours, plain = (
        jax.jit(partial(derivatives, which, OPTIONS[options]))(*arguments)
        for which in (SCANS[scan], "sequential")
    )
    close(jax.tree.leaves(ours), jax.tree.leaves(plain), 1e-9)


@pytest.mark.parametrize("kind", CELLS)
def test_values_of_every_form(kind, close):
    cell, carry, xs = example(CELLS[kind], 2, B)
    mask = jnp.arange(T)[:, None, None] < jnp.array([[T, 3], [0, 5]])
    plain = run(cell, carry, xs, mask=mask, scan="sequential")
    for scan in SCANS.values():
        close(run(cell, carry, xs, mask=mask, scan=scan), plain, 1e-12)


def test_a_cell_of_blocks_is_the_equations_of_its_paper():
    cell = LinOSSCell(I, H, rngs=nnx.Rngs(0))
    xs = kit.normal(T, B, I)
    _, ys = run(cell, cell.initialize_carry((B, I)), jnp.asarray(xs))
    a = np.asarray(nnx.relu(cell.stiffness[...]) + 0.1)
    dt = np.asarray(nnx.sigmoid(cell.step_size[...]))
    z, y, expected = np.zeros((B, H)), np.zeros((B, H)), []
    for x in xs:
        z = z + dt * (-a * y + x @ np.asarray(cell.b[...]).T)
        y = y + dt * z
        expected.append(y @ np.asarray(cell.c[...]).T)
    np.testing.assert_allclose(ys, expected, atol=1e-12)


@cases("name", BLOCKS, short=0)
def test_the_checks_of_cells_pass_for_blocks(name):
    check_cell(BLOCKS[name](I, H, rngs=nnx.Rngs(0)))


def test_cells_of_blocks_stack_and_are_wrapped():
    lower, upper = (LinOSSCell(size, H, rngs=nnx.Rngs(size)) for size in (I, H))
    layer = Recurrent(lower, Residual(upper))
    output, states = layer(jnp.ones((T, B, I)))
    assert output.shape == (T, B, H) and states.shape == (2, B, H, 2)
    assert all(isinstance(scan, Associative) for scan in layer.chosen_scans((T, B, I)))


def test_the_equations_of_the_linear_recurrent_unit():
    cell, carry, xs = example(LRUCell, B)
    a = np.exp(-np.exp(cell.nu[...]) + 1j * np.exp(cell.theta[...]))
    b = (np.asarray(cell.b_real) + 1j * np.asarray(cell.b_imag)) * np.sqrt(1 - np.abs(a) ** 2)[
        :, None
    ]
    c = np.asarray(cell.c_real) + 1j * np.asarray(cell.c_imag)
    assert (np.abs(a) < 1).all()
    h, expected = np.asarray(carry.h), []
    for x in np.asarray(xs):
        h = a * h + x @ b.T
        expected.append((h @ c.T).real + x @ np.asarray(cell.d).T)
    last, ys = run(cell, carry, xs)
    np.testing.assert_allclose(ys, expected, atol=1e-12)
    np.testing.assert_allclose(last.h, h, atol=1e-12)


def test_the_form_is_chosen_by_platform():
    layer = Recurrent(MinGRUCell(I, H, rngs=nnx.Rngs(0)))
    assert layer.chosen_scans((T, B, I), "cpu") == (Associative(parallel=False),)
    assert layer.chosen_scans((T, B, I), "cuda") == (Associative(parallel=True),)
    assert layer.chosen_scans((T, B, I), "tpu") == (Associative(parallel=True),)
    with pytest.raises(ValueError, match="expected a GatedCell"):
        Recurrent(MinGRUCell(I, H, rngs=nnx.Rngs(0)), scan=Gated())


def test_many_states_per_hidden_unit_are_computed_step_by_step_on_a_cpu():
    layer = Recurrent(SelectiveSSMCell(H, state_size=8, rngs=nnx.Rngs(0)))
    assert layer.chosen_scans((T, B, H), "cpu") == (Sequential(1, "inside", T),)
    assert layer.chosen_scans((T, B, H), "cuda") == (Associative(parallel=True),)
    assert layer.chosen_scans((T, B, H), "cpu").reasons == (None,)


def test_a_coefficient_that_is_the_same_for_all_rows_is_not_stored_for_each():
    cell, _, xs = example(LRUCell, B)
    a, b, _ = jax.eval_shape(lambda x: cell.project(x), xs[0])
    assert a.h.shape == (1, H) and b.h.shape == (B, H)


def test_a_coefficient_of_another_shape_than_b_is_refused():
    class Wrong(MinGRUCell):
        def coefficients(self, x):
            a, b = super().coefficients(x)
            return HiddenCarry(jnp.stack([a.h, a.h])), b

    layer = Recurrent(Wrong(I, H, rngs=nnx.Rngs(0)))
    with pytest.raises(ValueError, match=r"can be broadcast to \(3, 4\).*got \(2, "):
        layer(jnp.ones((T, 3, I)))


def test_the_backward_pass_of_the_loop_keeps_only_a_and_the_states():
    def temporaries(function):
        a, b = (jax.ShapeDtypeStruct((1000, 64), jnp.float32) for _ in range(2))
        initial = jax.ShapeDtypeStruct((64,), jnp.float32)
        loss = jax.jit(jax.grad(lambda *arguments: (function(*arguments) ** 2).sum(), (0, 1, 2)))
        return loss.lower(a, b, initial).compile().memory_analysis().temp_size_in_bytes

    states = 1000 * 64 * 4
    assert temporaries(partial(linear_recurrence, Plan(False, 1, False))) <= 6 * states


@pytest.mark.skipif(len(jax.devices()) < 8, reason="needs eight devices")
@cases("scan", [Associative(parallel=True, blocks=8), Associative(parallel=True)], short=1)
@cases("kind", ["MinGRUCell", "LRUCell"], short=1)
def test_time_divided_among_eight_devices_gives_the_values_and_gradients_of_one(kind, scan, close):
    graphdef, params = nnx.split(CELLS[kind](I, H, rngs=nnx.Rngs(0)))
    xs = normal(32, B, I)

    @jax.jit
    @partial(jax.value_and_grad, argnums=(0, 1))
    def graded(params, xs):
        cell = nnx.merge(graphdef, params)
        return (run(cell, cell.initialize_carry(xs.shape[1:]), xs, scan=scan)[1] ** 2).sum()

    mesh = jax.make_mesh((8,), ("time",), axis_types=(AxisType.Auto,))
    spread = jax.device_put(xs, NamedSharding(mesh, PartitionSpec("time")))
    assert spread.addressable_shards[0].data.shape == (4, B, I)
    value, (_, dxs) = of_eight = graded(params, spread)
    assert dxs.shape == xs.shape and np.isfinite(value)
    close(jax.tree.leaves(of_eight), jax.tree.leaves(graded(params, xs)), 1e-9)
