"""Linear cells: the associative scan and the loop against plain autodiff of the definition."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from jax_rnn import LRUCell, MinGRUCell, Recurrent
from jax_rnn.scans import Associative, Gated, run
from jax_rnn.scans.recurrence import Plan, linear_recurrence
from tests import kit
from tests.kit import cases

I, H, B, T = 3, 4, 2, 7  # noqa: E741

pytestmark = pytest.mark.usefixtures("x64")
CELLS = {"MinGRUCell": MinGRUCell, "LRUCell": LRUCell}
SCANS = {
    "parallel": Associative(parallel=True),
    "loop": Associative(parallel=False),
    "3 blocks": Associative(parallel=True, blocks=3),
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
    zeros = cell.initialize_carry((*batch, I))
    carry = jax.tree.map(lambda leaf: normal(*leaf.shape, seed=2, dtype=leaf.dtype), zeros)
    return cell, carry, normal(T, *batch, I)


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


@cases("scan", SCANS, short=2)
@cases("kind", CELLS, short=2)
@cases("options", OPTIONS, short=0)
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
@cases("kind", CELLS, short=1)
def test_time_divided_among_eight_devices_gives_the_values_and_gradients_of_one(kind, scan, close):
    cell = CELLS[kind](I, H, rngs=nnx.Rngs(0))
    graphdef, params = nnx.split(cell)
    xs = normal(32, B, I)

    @jax.jit
    def graded(params, xs):
        def loss(params, xs):
            cell = nnx.merge(graphdef, params)
            carry = cell.initialize_carry(xs.shape[1:])
            return (run(cell, carry, xs, scan=scan)[1] ** 2).sum()

        return jax.value_and_grad(loss, (0, 1))(params, xs)

    mesh = jax.make_mesh((8,), ("time",), axis_types=(AxisType.Auto,))
    spread = jax.device_put(xs, NamedSharding(mesh, PartitionSpec("time")))
    assert spread.addressable_shards[0].data.shape == (4, B, I)
    value, (_, dxs) = of_eight = graded(params, spread)
    assert dxs.shape == xs.shape
    close(jax.tree.leaves(of_eight), jax.tree.leaves(graded(params, xs)), 1e-9)
    assert np.isfinite(value)
