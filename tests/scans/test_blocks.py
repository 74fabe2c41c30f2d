"""Linear recurrences of small blocks, against a loop of matrix products."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jax_rnn import Blocks, HiddenCarry, LinearCell, Recurrent, Residual
from jax_rnn.scans import Associative, Checkpointed, run
from jax_rnn.testing import check_cell
from tests import kit
from tests.kit import cases

I, P, B, T = 3, 5, 2, 7  # noqa: E741

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

    def __init__(self):
        self.input_size = self.hidden_size = 6

    def coefficients(self, x):
        angle = x.reshape(*x.shape[:-1], 3, 2)
        cos, sin = jnp.cos(angle[..., 0]), jnp.sin(angle[..., 0])
        matrix = jnp.stack([jnp.stack([cos, angle[..., 1]], -1), jnp.stack([sin, 1 - cos], -1)], -2)
        return HiddenCarry(Blocks(0.6 * matrix)), HiddenCarry(angle)

    def output(self, carry, x):
        return carry.h.reshape(*carry.h.shape[:-2], 6)


def cell():
    return LinOSSCell(I, P, rngs=nnx.Rngs(0))


def test_a_cell_of_blocks_is_the_product_of_matrices():
    one, xs = cell(), kit.normal(T, B, I)
    _, ys = run(one, one.initialize_carry((B, I)), jnp.asarray(xs))
    a = np.asarray(nnx.relu(one.stiffness[...]) + 0.1)
    dt = np.asarray(nnx.sigmoid(one.step_size[...]))
    z, y, expected = np.zeros((B, P)), np.zeros((B, P)), []
    for x in xs:  # the equations of the paper
        z = z + dt * (-a * y + x @ np.asarray(one.b[...]).T)
        y = y + dt * z
        expected.append(y @ np.asarray(one.c[...]).T)
    np.testing.assert_allclose(ys, expected, atol=1e-12)


SCANS = {
    "parallel": Associative(parallel=True),
    "loop": Associative(parallel=False),
    "3 blocks of time": Associative(parallel=True, blocks=3),
    "chunks": Checkpointed(3, Associative(parallel=True)),
}
OPTIONS = {
    "plain": {},
    "masked, reset, reverse": {
        "mask": jnp.arange(T)[:, None] < jnp.array([T, 4]),
        "resets": jnp.zeros((T, B), bool).at[2, 0].set(True).at[1, 1].set(True),
        "reverse": True,
    },
}


@cases("scan", SCANS, short=2)
@cases("build", [Mixing, cell], short=1)
@cases("options", OPTIONS, short=2)
def test_every_form_is_the_loop_in_values_and_derivatives(scan, build, options, close):
    graphdef, params = nnx.split(build())
    xs = jnp.asarray(kit.normal(T, B, build().input_size))
    start = build().initialize_carry(xs.shape[1:])
    start = jax.tree.map(lambda leaf: jnp.asarray(kit.normal(*leaf.shape)), start)

    def graded(scan):
        def loss(params, carry, xs):
            last, ys = run(nnx.merge(graphdef, params), carry, xs, scan=scan, **OPTIONS[options])
            return (ys**3).sum() + (last.h**2).sum(), (last, ys)

        return jax.jit(jax.value_and_grad(loss, (0, 1, 2), has_aux=True))(params, start, xs)

    close(jax.tree.leaves(graded(SCANS[scan])), jax.tree.leaves(graded("sequential")), 1e-9)


@cases("build", [Mixing, cell], short=0)
def test_the_checks_of_cells_pass(build):
    check_cell(build())


def test_cells_of_blocks_stack_and_are_wrapped():
    layer = Recurrent(
        LinOSSCell(I, P, rngs=nnx.Rngs(0)), Residual(LinOSSCell(P, P, rngs=nnx.Rngs(1)))
    )
    output, states = layer(jnp.ones((T, B, I)))
    assert output.shape == (T, B, P) and states.shape == (2, B, P, 2)
    assert all(isinstance(scan, Associative) for scan in layer.chosen_scans((T, B, I)))
