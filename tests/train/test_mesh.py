"""The mesh of a training: given, set with ``jax.set_mesh``, or that of the arrays."""

import math
from contextlib import nullcontext

import jax
import numpy as np
import optax
import pytest
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jax_rnn.base.meshes import one_axis
from jax_rnn.train.mesh import Layout
from jax_rnn.train.seeds import fit_seeds
from tests.kit import refusals
from tests.train.kit import SGD, Weight, batch, squares, train


def mesh_of_two(kind=AxisType.Explicit):
    return jax.make_mesh((2,), ("rows",), axis_types=(kind,), devices=jax.devices()[:2])


kinds = pytest.mark.parametrize("kind", [AxisType.Auto, AxisType.Explicit])


@kinds
def test_of_any_name_and_type_spreads_the_batch(kind):
    (shard, _) = Layout(one_axis(mesh_of_two(kind))).batches(batch(), 0)["x"].addressable_shards
    assert shard.data.shape == (2, 2)


@pytest.mark.long
@kinds
@pytest.mark.parametrize("entered", [False, True])
def test_gives_the_losses_of_one_device(kind, entered):
    mesh = mesh_of_two(kind)
    expected = train(batch(), steps=3).loss
    with jax.set_mesh(mesh) if entered else nullcontext():
        found = train(batch(), steps=3, mesh=mesh).loss
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@kinds
@pytest.mark.parametrize("given", [False, True])
def test_of_the_arrays_needs_no_set_mesh(kind, given):
    """Without it, JAX itself does not differentiate arrays on a mesh with explicit axes."""
    mesh = mesh_of_two(kind)
    data = jax.device_put(batch(), NamedSharding(mesh, PartitionSpec("rows")))
    expected = train(batch(), steps=2).loss
    found = train(data, steps=2, mesh=mesh if given else None).loss
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    if not given:
        swept = fit_seeds(Weight, squares, data, seeds=[0, 1], steps=2, optimizer=SGD).loss
        np.testing.assert_allclose(swept, [expected] * 2, rtol=1e-6)


def test_that_is_set_is_that_of_the_model_and_of_callbacks():
    mesh, records = mesh_of_two(), []
    with jax.set_mesh(mesh):
        data = jax.device_put(batch(), NamedSharding(mesh, PartitionSpec("rows")))
        model = Weight()
        assert jax.typeof(model.weight[...]).sharding.mesh == mesh.abstract_mesh
        options = {"evaluate": lambda model: {"loss": squares(model, data)}, "mesh": mesh}
        options |= {"on_record": lambda record: records.append(squares(model, data))}
        history = train(data, model, steps=2, optimizer=optax.adam(0.1), **options)
        after = squares(model, data)
    assert history.evaluations[0]["loss"] == after < history.loss[1]
    assert records == [history.loss[0]]


def grid(shape, names):
    return Mesh(np.array(jax.devices()[: math.prod(shape)]).reshape(shape), names)


ONE_AXIS = "mesh: expected one axis, over which every batch"
ROWS = [
    (lambda: one_axis("data=8"), TypeError, "mesh: expected a jax.sharding.Mesh, got str; use"),
    (lambda: one_axis(grid((2, 2), ("a", "b"))), ValueError, ONE_AXIS),
    (lambda: one_axis(grid((), ())), ValueError, ONE_AXIS),
]


test_another_is_refused = refusals(ROWS)
