"""Long sequences: checkpoints bound the memory, and a linear cell is divided among devices."""

import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from benchmarks import long
from jax_rnn import GRUCell, LRUCell, MinGRUCell, Recurrent
from jax_rnn.scans import Associative, Checkpointed
from tests.kit import cases, normal


def gradients(kind, scan, x):
    """A compiled program, and the loss and the gradients that it returns."""
    layer = Recurrent(kind(x.shape[-1], 5, rngs=nnx.Rngs(0)), scan=scan)

    def value(layer, x):
        output, h_n = layer(x)
        return (output**2).mean() + (abs(h_n) ** 2).sum(), (output, h_n)

    run = jax.jit(jax.value_and_grad(value, argnums=(0, 1), has_aux=True))
    program = run.lower(layer, x).compile()
    return program, program(layer, x)


@cases("kind", [GRUCell, MinGRUCell, LRUCell], short=1, ids=lambda kind: kind.__name__)
def test_checkpoints_change_the_memory_and_not_the_gradient(kind, x64, close):
    x = jnp.asarray(normal(900, 1, 3))
    whole, expected = gradients(kind, "auto", x)
    parts, found = gradients(kind, Checkpointed(every=30), x)
    close(jax.tree.leaves(found), jax.tree.leaves(expected), 1e-10)
    planned = [program.memory_analysis().temp_size_in_bytes for program in (whole, parts)]
    assert planned[1] < planned[0]


@pytest.mark.long
@pytest.mark.parametrize("kind", [GRUCell, MinGRUCell, LRUCell])
def test_100_000_steps_need_little_more_than_the_root_of_the_memory(kind):
    steps, sizes = 100_000, (1, 3, 5)
    name = kind.__name__
    whole, layer, x = long.gradient(name, "last", "whole", steps, sizes)
    parts, other, _ = long.gradient(name, "last", "checkpointed", steps, sizes)
    planned = [program.memory_analysis().temp_size_in_bytes for program in (whole, parts)]
    states = steps * 5 * 4
    assert planned[0] > 2 * states
    assert planned[1] < planned[0] / 4
    (a, of_a), (b, of_b) = whole(layer, x), parts(other, x)
    assert any(jnp.abs(leaf).max() > 1e-3 for leaf in jax.tree.leaves(of_a))
    assert math.isfinite(a) and np.isclose(a, b, rtol=1e-5)
    for one, two in zip(jax.tree.leaves(of_a), jax.tree.leaves(of_b), strict=True):
        assert np.isfinite(one).all()
        np.testing.assert_allclose(one, two, rtol=1e-3, atol=1e-6)


@cases("kind", [MinGRUCell, LRUCell], short=1, ids=lambda kind: kind.__name__)
def test_time_is_divided_among_devices(kind, x64, close):
    mesh = jax.make_mesh((8,), ("time",), axis_types=(AxisType.Auto,))
    x = jnp.asarray(normal(48, 2, 3))
    divided = jax.device_put(x, NamedSharding(mesh, PartitionSpec("time")))
    _, expected = gradients(kind, "sequential", x)
    _, found = gradients(kind, Associative(blocks=8), divided)
    close(jax.device_get(jax.tree.leaves(found)), jax.tree.leaves(expected))
    (_, (output, _)), (_, of_x) = found
    for array in (output, of_x):
        assert {shard.data.shape[0] for shard in array.addressable_shards} == {6}


def test_the_page_has_the_measured_table():
    found = json.loads(long.RESULTS.read_text())["rows"]
    assert {row["T"] for row in found} == {10_000, 100_000}
    assert long.table(found) in long.PAGE.read_text()
