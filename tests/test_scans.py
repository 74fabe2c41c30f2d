"""How a cell is run over time, against one step after another."""

from functools import cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given, strategies
from hypothesis.extra.numpy import arrays

from jax_rnn import Cell, GRUCell, LSTMCell, RNNCell
from jax_rnn.scans.sequential import sequential

I, H, B, T = 3, 4, 2, 5  # noqa: E741

pytestmark = pytest.mark.usefixtures("x64")
every_cell = pytest.mark.parametrize("cell_type", [RNNCell, LSTMCell, GRUCell])
every_cell_some_way = pytest.mark.parametrize(
    ("cell_type", "reverse"),
    [(RNNCell, False), (LSTMCell, False), (GRUCell, True)],
)


def normal(*shape, seed=0):
    return jnp.asarray(np.random.default_rng([seed, *shape]).normal(size=shape))


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
    runs = [
        steps(cell, jax.tree.map(lambda leaf, b=b: leaf[b], carry), xs[:, b], mask[:, b], reverse)
        for b in range(xs.shape[1])
    ]
    return jax.tree.map(lambda *rows: jnp.stack(rows), *(run[0] for run in runs)), jnp.stack(
        [run[1] for run in runs], axis=1
    )


def with_gradients(scan):
    """``scan``, returning values and the gradients of cell, carry and inputs for cotangents."""

    @jax.jit
    def run(cell, carry, xs):
        out, vjp = jax.vjp(scan, cell, carry, xs)
        dcell, *rest = vjp(jax.tree.map(lambda leaf: normal(*leaf.shape, seed=9), out))
        return out, nnx.to_pure_dict(nnx.state(dcell)), rest

    return run


@every_cell_some_way
def test_scan_is_one_step_after_another(cell_type, reverse, close):
    scan, loop = (with_gradients(partial(run, reverse=reverse)) for run in (sequential, steps))
    close(scan(*example(cell_type, B)), loop(*example(cell_type, B)))


@every_cell
def test_scan_resumes_in_mid_sequence(cell_type, close):
    cell, carry, xs = example(cell_type, B)
    middle, first = sequential(cell, carry, xs[:2])
    last, second = sequential(cell, middle, xs[2:])
    close((last, jnp.concatenate([first, second])), sequential(cell, carry, xs))


def test_reverse_is_the_flipped_sequence(close):
    cell, carry, xs = example(LSTMCell, B)
    last, ys = sequential(cell, carry, xs[::-1])
    close(sequential(cell, carry, xs, reverse=True), (last, ys[::-1]))


@pytest.mark.parametrize("unroll", [2, 2 * T])
def test_unrolled_scan_gives_the_same(unroll, close):
    scan, unrolled = with_gradients(sequential), with_gradients(partial(sequential, unroll=unroll))
    close(unrolled(*example(GRUCell, B)), scan(*example(GRUCell, B)))


def up_to(*lengths):
    return jnp.arange(T)[:, None] < jnp.array(lengths)


@every_cell_some_way
def test_masked_scan_runs_each_sequence_at_its_own_length(cell_type, reverse, close):
    mask = up_to(T, 3, 0, 1)
    scan = with_gradients(partial(sequential, mask=mask, reverse=reverse))
    alone = with_gradients(partial(each_alone, mask=np.asarray(mask), reverse=reverse))
    close(scan(*example(cell_type, 4)), alone(*example(cell_type, 4)))


def test_length_zero_returns_the_initial_carry_and_zeros(close):
    cell, carry, xs = example(LSTMCell, B)
    last, ys = sequential(cell, carry, xs, mask=up_to(0, T))
    for now, before in zip(last, carry, strict=True):
        np.testing.assert_array_equal(now[0], before[0])
        assert (now[1] != before[1]).all()
    assert not ys[:, 0].any()


@every_cell
def test_padding_reaches_no_value_and_no_gradient(cell_type):
    cell, carry, xs = example(cell_type, B)
    mask = up_to(2, 4)
    scan = with_gradients(partial(sequential, mask=mask))
    clean, *poisoned = (
        scan(cell, carry, jnp.where(mask[..., None], xs, padding))
        for padding in (0, jnp.nan, jnp.inf, 1e300)
    )
    for result in poisoned:
        jax.tree.map(np.testing.assert_array_equal, result, clean)
    _, _, (_, dxs) = clean
    assert not dxs[~mask].any()
    assert dxs[mask].all()


@pytest.mark.parametrize("batch", [(), (2, 3)])
def test_mask_has_any_batch_axes(batch, close):
    cell, carry, xs = example(LSTMCell, *batch)
    mask = np.random.default_rng(1).random((T, *batch)) < 0.6
    assert 0 < mask.sum() < mask.size

    def flat(leaf, axes=0):
        return leaf.reshape(*leaf.shape[:axes], -1, leaf.shape[-1])

    expected = each_alone(cell, jax.tree.map(flat, carry), flat(xs, axes=1), mask.reshape(T, -1))
    last, ys = sequential(cell, carry, xs, mask=jnp.asarray(mask))
    assert ys.shape == (T, *batch, H)
    close((jax.tree.map(flat, last), flat(ys, axes=1)), expected)


@given(mask=arrays(bool, (T, B)), reverse=strategies.booleans())
def test_any_mask_skips_its_steps(mask, reverse):
    cell, carry, xs = example(RNNCell, B)
    last, ys = masked_rnn(mask, reverse)
    w_ih, w_hh, b = (np.asarray(p) for p in (cell.weight_ih, cell.weight_hh, cell.bias_ih))
    b = b + np.asarray(cell.bias_hh)
    h, expected = np.array(carry.h), np.zeros((T, B, H))
    for t in range(T)[:: -1 if reverse else 1]:
        new = np.tanh(np.asarray(xs[t]) @ w_ih.T + h @ w_hh.T + b)
        h = np.where(mask[t, :, None], new, h)
        expected[t] = np.where(mask[t, :, None], h, 0)
    np.testing.assert_allclose(ys, expected, atol=1e-12)
    np.testing.assert_allclose(last.h, h, atol=1e-12)


@partial(jax.jit, static_argnums=1)
def masked_rnn(mask, reverse):
    return sequential(*example(RNNCell, B), mask=mask, reverse=reverse)


class Tally(NamedTuple):
    matrix: jax.Array
    count: jax.Array


class Counting(Cell[Tally]):
    """Counts its steps, in a matrix for every sequence and in a number."""

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
