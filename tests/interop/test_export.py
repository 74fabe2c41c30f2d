"""Programs for other machines: lowered for every platform, and spread over many devices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import export
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jax_rnn.lecture.lessons import WORDS, load
from jax_rnn.lecture.teaching.lesson import optimizer
from jax_rnn.train.program import scan_steps
from jax_rnn.train.step import prepare
from tests.kit import cases

PLATFORMS = ["cpu", "cuda", "tpu"]
TRAINED = [name for name in WORDS if load(name).trained]
FORWARD = [name for name in WORDS if not load(name).trained]
STEPS = 3


def training(name):
    lesson = load(name)
    model = lesson.build(rngs=nnx.Rngs(1))
    return prepare(model, lesson.loss, optimizer(lesson.recipe)), lesson.batch()


def exported(function, *arguments):
    """One program for all platforms, which takes and returns leaves, and the leaves to give it."""
    leaves, tree = jax.tree.flatten(arguments)

    def flat(*leaves):
        return jax.tree.leaves(function(*jax.tree.unflatten(tree, leaves)))

    program = export.export(jax.jit(flat), platforms=PLATFORMS)(*leaves)
    assert sorted(program.platforms) == sorted(PLATFORMS)
    return program, leaves


@cases("name", TRAINED, short=1)
def test_a_training_step_lowers_for_every_platform_and_runs_on_this_one(name, close):
    (state, step, _), batch = training(name)
    program, leaves = exported(step, state, batch)
    new_state, report = jax.jit(step)(state, batch)
    close(program.call(*leaves), jax.tree.leaves((new_state, report)), 1e-6)
    loss, _ = load(name).loss(load(name).build(rngs=nnx.Rngs(1)), batch)
    assert report.loss == pytest.approx(float(loss), rel=1e-6)


@cases("name", FORWARD, short=1)
def test_a_forward_pass_lowers_for_every_platform_and_runs_on_this_one(name, close):
    lesson = load(name)
    graphdef, state = nnx.split(lesson.build(rngs=nnx.Rngs(1)))

    def forward(state, inputs, hidden):
        return nnx.merge(graphdef, state)(inputs, hidden)

    arguments = state, jnp.asarray(lesson.facts.inputs), lesson.facts.hidden
    program, leaves = exported(forward, *arguments)
    close(program.call(*leaves), jax.tree.leaves(forward(*arguments)), 1e-6)


@cases("name", TRAINED, short=1)
def test_training_on_eight_devices_gives_the_history_of_one(name):
    """State and batch are replicated, so every device computes what a single one computes."""
    devices = jax.devices()
    assert len(devices) == 8  # conftest.py divides the CPU
    (state, step, _), batch = training(name)
    run = jax.jit(lambda state, batch: scan_steps(step, False, state, batch, STEPS))
    _, alone = run(*jax.device_put((state, batch), devices[0]))
    everywhere = NamedSharding(Mesh(np.array(devices[:8]), ("seed",)), PartitionSpec())
    last, together = run(*jax.device_put((state, batch), everywhere))
    assert all(len(leaf.sharding.device_set) == 8 for leaf in jax.tree.leaves(last))
    assert together.loss.shape == (STEPS,)
    np.testing.assert_allclose(together.loss, alone.loss, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(together.metrics["prediction"], alone.metrics["prediction"])
