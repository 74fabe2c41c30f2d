"""The mesh of a training: given, set with ``jax.set_mesh``, or that of the arrays."""

import math

import jax
import numpy as np
import optax
import pytest
from flax import nnx
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jax_rnn.base.meshes import one_axis
from jax_rnn.train.mesh import Layout
from jax_rnn.train.seeds import fit_seeds
from tests.train.test_fit_arguments import SGD, Weight, batch, squares, train


@pytest.mark.parametrize("kind", [AxisType.Auto, AxisType.Explicit])
def test_of_any_name_and_type_spreads_the_batch(kind):
    mesh = jax.make_mesh((2,), ("rows",), axis_types=(kind,), devices=jax.devices()[:2])
    layout = Layout(one_axis(mesh))
    (shard, _) = layout.batches(batch(), 0)["x"].addressable_shards
    assert shard.data.shape == (2, 2)


@pytest.mark.long
@pytest.mark.parametrize("kind", [AxisType.Auto, AxisType.Explicit])
@pytest.mark.parametrize("entered", [False, True])
def test_gives_the_losses_of_one_device(kind, entered):
    mesh = jax.make_mesh((2,), ("rows",), axis_types=(kind,), devices=jax.devices()[:2])
    expected = train(batch(), steps=3).loss
    if entered:
        with jax.set_mesh(mesh):
            found = train(batch(), steps=3, mesh=mesh).loss
    else:
        found = train(batch(), steps=3, mesh=mesh).loss
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("kind", [AxisType.Auto, AxisType.Explicit])
@pytest.mark.parametrize("given", [False, True])
def test_of_the_arrays_needs_no_set_mesh(kind, given):
    """Without it, JAX itself does not differentiate arrays on a mesh with explicit axes."""
    mesh = jax.make_mesh((2,), ("rows",), axis_types=(kind,), devices=jax.devices()[:2])
    data = jax.device_put(batch(), NamedSharding(mesh, PartitionSpec("rows")))
    expected = train(batch(), steps=2).loss
    found = train(data, steps=2, mesh=mesh if given else None).loss
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    seeds = {"seeds": [0, 1], "steps": 2, "optimizer": SGD}
    if not given:
        swept = fit_seeds(Weight, squares, data, **seeds).loss
        np.testing.assert_allclose(swept, [expected] * 2, rtol=1e-6)


def test_that_is_set_is_that_of_the_model_and_of_callbacks():
    mesh = jax.make_mesh(
        (2,), ("rows",), axis_types=(AxisType.Explicit,), devices=jax.devices()[:2]
    )
    records = []
    with jax.set_mesh(mesh):
        data = jax.device_put(batch(), NamedSharding(mesh, PartitionSpec("rows")))
        options = {"steps": 2, "optimizer": optax.adam(0.1), "mesh": mesh}
        model = Weight(nnx.Rngs(0))
        assert jax.typeof(model.weight[...]).sharding.mesh == mesh.abstract_mesh
        history = train(
            data,
            model,
            evaluate=lambda model: {"loss": squares(model, data)},
            on_record=lambda record: records.append(squares(model, data)),
            **options,
        )
        after = squares(model, data)
    assert history.evaluations[0]["loss"] == after < history.loss[1]
    assert records == [history.loss[0]]


def test_of_another_type_is_refused():
    with pytest.raises(TypeError, match=r"mesh: expected a jax\.sharding\.Mesh, got str; use"):
        one_axis("data=8")


@pytest.mark.parametrize(("shape", "names"), [((2, 2), ("a", "b")), ((), ())])
def test_of_other_than_one_axis_is_refused(shape, names):
    mesh = Mesh(np.array(jax.devices()[: math.prod(shape)]).reshape(shape), names)
    with pytest.raises(ValueError, match="mesh: expected one axis, over which every batch"):
        one_axis(mesh)
