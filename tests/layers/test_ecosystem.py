"""Layers work with what JAX and Flax offer: meshes, stricter checks, abstract modules."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from jax_rnn import GRU, LSTM, RNN, Linear
from jax_rnn.scans import Checkpointed, Gated, Sequential
from tests.kit import cases

I, H, B, T = 2, 16, 4, 3  # noqa: E741

LAYERS = {
    f"{kind.__name__}, {scan}": partial(kind, I, H, scan=scan)
    for kind in (LSTM, GRU, RNN)
    for scan in ("gated", "sequential")
} | {
    "reset before": partial(GRU, I, H, reset_after=False),
    "projected, batch first": partial(LSTM, I, H, proj_size=3, batch_first=True),
    "two directions, in chunks": partial(LSTM, I, H, 2, bidirectional=True, scan=Checkpointed(2)),
}
every_layer = cases("name", ["GRU, gated", *(k for k in LAYERS if k != "GRU, gated")], short=1)
mesh_needed = pytest.mark.skipif(len(jax.devices()) < 2, reason="needs two devices")
LENGTHS = np.array([T, 1, 0, 2], np.int32)


def program(name):
    """A layer's outputs and the gradients of all that goes in, and arguments for it."""
    layer = LAYERS[name](rngs=nnx.Rngs(0))
    graphdef, state = nnx.split(layer)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(T, B, I)), jnp.float32)

    def loss(state, x, lengths):
        output, h_n = nnx.merge(graphdef, state)(x, lengths=lengths)
        return sum((leaf**2).sum() for leaf in (output, *jax.tree.leaves(h_n))), output

    def run(state, x, lengths):
        return jax.value_and_grad(loss, (0, 1), has_aux=True)(state, x, lengths)

    x = jnp.swapaxes(x, 0, 1) if layer.batch_first else x
    return layer, run, (state, x, jnp.asarray(LENGTHS))


def agree(actual, expected, close):
    close(jax.tree.leaves(actual), jax.tree.leaves(expected), 1e-5)


def batch_axes(layer):
    return PartitionSpec("data") if layer.batch_first else PartitionSpec(None, "data")


def mesh_of_two(kind):
    return jax.make_mesh((2,), ("data",), axis_types=(kind,))


@mesh_needed
@every_layer
def test_shard_map_with_its_default_checks(name, close):
    layer, run, arguments = program(name)
    whole, batch = PartitionSpec(), batch_axes(layer)

    def part(state, x, lengths):
        (loss, output), gradients = run(state, x, lengths)
        return (jax.lax.psum(loss, "data"), output), gradients

    specs = (whole, batch, PartitionSpec("data")), ((whole, batch), (whole, batch))
    mesh = mesh_of_two(AxisType.Auto)
    spread = jax.shard_map(part, mesh=mesh, in_specs=specs[0], out_specs=specs[1])
    agree(jax.jit(spread)(*arguments), jax.jit(run)(*arguments), close)


@mesh_needed
@every_layer
def test_a_mesh_with_explicit_axes(name, close):
    layer, run, arguments = program(name)
    expected, mesh = jax.jit(run)(*arguments), mesh_of_two(AxisType.Explicit)
    places = PartitionSpec(), batch_axes(layer), PartitionSpec("data")
    with jax.set_mesh(mesh):
        shardings = tuple(NamedSharding(mesh, place) for place in places)
        (_, output), _ = actual = jax.jit(run)(*map(jax.device_put, arguments, shardings))
    assert output.sharding.spec[0 if layer.batch_first else 1] == "data"
    agree(actual, expected, close)


@every_layer
def test_rank_promotion_may_raise_and_dtypes_may_be_strict_in_bfloat16(name):
    _, run, (state, x, lengths) = program(name)
    with jax.numpy_rank_promotion("raise"):
        jax.eval_shape(run, state, x, lengths)
    half = partial(jax.tree.map, lambda leaf: leaf.astype(jnp.bfloat16))
    with jax.numpy_dtype_promotion("strict"):
        jax.eval_shape(run, half(state), half(x), lengths)


@cases("name", ["projected, batch first", "two directions, in chunks"], short=1)
def test_debug_nans_with_nan_in_the_padding(name):
    layer, run, (state, x, lengths) = program(name)
    mask = np.arange(T)[:, None] < LENGTHS
    mask = mask.T if layer.batch_first else mask
    poisoned = jnp.asarray(np.where(mask[..., None], x, np.float32("nan")))
    with jax.debug_nans(True):
        (loss, _), (_, dx) = run(state, poisoned, lengths)
    assert np.isfinite(loss)
    assert not dx[~mask].any()


def test_an_initial_state_that_is_learnt():
    layer, x = LSTM(I, 4, rngs=nnx.Rngs(0)), jnp.ones((T, B, I))
    initial = nnx.List([nnx.Param(jnp.ones((1, B, 4))) for _ in range(2)])
    gradients = nnx.grad(lambda states: (layer(x, tuple(states))[0] ** 2).sum())(initial)
    assert [gradients[k][...].shape for k in range(2)] == [(1, B, 4)] * 2
    assert (gradients[1][...] != 0).all()


def test_a_layer_without_values_knows_its_dtype_and_scans():
    layer = nnx.eval_shape(lambda: GRU(I, H, dtype="bfloat16", rngs=nnx.Rngs(0)))
    assert layer.dtype == jnp.bfloat16
    assert layer.chosen_scans((T, B, I)) == (Gated(unroll=1, project="before", pack=False),)
    assert layer.chosen_scans((T, 1, I)) == (Sequential(1, "inside", T),)


def test_an_empty_batch_in_chunks():
    _, run, (state, x, lengths) = program("two directions, in chunks")
    (_, output), (_, dx) = jax.eval_shape(run, state, x[:, :0], lengths[:0])
    assert (output.shape, dx.shape) == ((T, 0, 2 * H), (T, 0, I))


def test_tabulate_shows_a_feedforward_layer():
    """Flax cannot show layers whose cells take a carry, a tuple; ``nnx.RNN`` fails there too."""
    assert "Linear" in nnx.tabulate(Linear(I, H, rngs=nnx.Rngs(0)), jnp.ones((B, I)))
