"""Layers are pure: under every transformation they give what the plain call gives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jax_rnn import LSTM
from tests import kit
from tests.kit import cases

I, H, B, T, L = 3, 4, 2, 5, 1  # noqa: E741

pytestmark = pytest.mark.usefixtures("x64")


def normal(*shape, seed=0):
    return jnp.asarray(kit.normal(*shape, seed=seed))


def build(key):
    return LSTM(I, H, L, rngs=nnx.Rngs(key))


@pytest.fixture
def layer():
    return build(0)


@pytest.fixture
def call():
    return normal(T, B, I), tuple(normal(L, B, H, seed=k) for k in (1, 2))


def loss(layer, x, hx):
    outputs, (h_n, c_n) = layer(x, hx)
    return jnp.vdot(outputs, jnp.cos(outputs)) + (h_n * c_n).sum()


@pytest.fixture
def gradient(layer, call):
    """The gradients of ``loss`` with respect to the parameters, without any transformation."""
    graphdef, params = nnx.split(layer)
    return jax.jit(jax.grad(lambda params: loss(nnx.merge(graphdef, params), *call)))(params)


@cases("transform", [jax.jit, nnx.jit, jax.checkpoint, nnx.remat], short=2)
def test_transformed_call_gives_the_plain_value(transform, layer, call, close):
    close(transform(lambda layer, x, hx: layer(x, hx))(layer, *call), layer(*call))


GRADIENTS = {
    "nnx.grad": nnx.grad,
    "nnx.jit of nnx.grad": lambda f: nnx.jit(nnx.grad(f)),
    "jax.grad of the module": jax.grad,
    "nnx.remat": lambda f: nnx.grad(nnx.remat(f)),
    "jax.checkpoint": lambda f: jax.jit(jax.grad(jax.checkpoint(f))),
}


@cases("grad", GRADIENTS.values(), short=2)
def test_gradients_agree(grad, layer, call, gradient, close):
    found = nnx.state(grad(loss)(layer, *call))
    close(nnx.to_pure_dict(found), nnx.to_pure_dict(gradient))


def test_forward_mode_agrees_with_reverse_mode(layer, call, close):
    x, hx = call
    direction = normal(T, B, I, seed=8)
    _, forward = jax.jvp(lambda x: loss(layer, x, hx), (x,), (direction,))
    reverse = jax.grad(lambda x: loss(layer, x, hx))(x)
    close(forward, jnp.vdot(reverse, direction))


def test_vmap_over_inputs_is_a_batch(layer, call, close):
    x, hx = call
    outputs, states = jax.vmap(layer, in_axes=(1, 1), out_axes=1)(x, hx)
    close((outputs, tuple(states)), (layer(x, hx)[0], tuple(layer(x, hx)[1])))


@nnx.split_rngs(splits=3)
@nnx.vmap
def by_nnx(rngs):
    return nnx.state(LSTM(I, H, L, rngs=rngs))


def by_jax(rngs):
    return jax.vmap(lambda key: nnx.state(build(key)))(jax.random.split(rngs(), 3))


@pytest.mark.parametrize("create", [by_nnx, by_jax])
def test_a_stack_of_models_built_under_vmap_is_each_of_them(create, call, close):
    stack, graphdef = create(nnx.Rngs(3)), nnx.graphdef(build(0))
    outputs = jax.vmap(lambda state: nnx.merge(graphdef, state)(*call)[0])(stack)
    assert outputs.shape == (3, T, B, H)
    assert float(jnp.abs(outputs[0] - outputs[1]).max()) > 1e-2
    for k in range(3):
        one = nnx.merge(graphdef, jax.tree.map(lambda leaf, k=k: leaf[k], stack))
        close(outputs[k], one(*call)[0])


def test_same_shapes_compile_once(layer, call):
    traces, (x, hx), other = [], call, build(1)
    run = jax.jit(lambda layer, x, hx: traces.append(x.shape) or layer(x, hx)[0])
    assert (run(other, x + 1, hx) != run(layer, x, hx)).any()
    run(layer, x, hx)
    assert traces == [(T, B, I)]
    run(layer, x[:-1], hx)
    assert traces == [(T, B, I), (T - 1, B, I)]


def test_a_call_changes_nothing_and_two_calls_agree(layer, call):
    graphdef, before = nnx.split(layer)
    before = jax.tree.map(np.asarray, before)
    first, second = layer(*call), layer(*call)
    after_graphdef, after = nnx.split(layer)
    assert after_graphdef == graphdef
    jax.tree.map(np.testing.assert_array_equal, (after, first), (before, second))


def test_layers_hold_parameters_and_nothing_else_that_varies(layer):
    _, params, rest = nnx.split(layer, nnx.Param, ...)
    assert len(jax.tree.leaves(params)) == 4 * L
    assert not jax.tree.leaves(rest)
