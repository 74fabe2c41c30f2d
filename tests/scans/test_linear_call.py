"""The primitive of linear functions with a given transpose, under the transformations of JAX."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jax_rnn.scans.linear_call import linear_call
from tests.kit import cases, normal

N, M = 3, 5
TOLERANCE = 1e-5


def plain(w, x):
    """Linear in x, not in w."""
    return jnp.sin(w) @ x[0], 2 * x[1] + jnp.sum(w) * x[1]


def back(w, cotangents):
    first, second = cotangents
    return jnp.sin(w).T @ first, (2 + jnp.sum(w)) * second


def called(w, x):
    return linear_call(plain, back, w, x)


W, X = jnp.asarray(normal(N, M)), (jnp.asarray(normal(M)), jnp.asarray(normal(2)))
WS, XS = jnp.asarray(normal(4, N, M)), (jnp.asarray(normal(4, M)), jnp.asarray(normal(4, 2)))


def loss(function):
    return lambda w, x: sum(jnp.sum(jnp.sin(leaf)) for leaf in function(w, x))


def in_a_scan(function):
    def body(x, w):
        y, z = function(w, x)
        return (jnp.concatenate([y, x[0][N:]]), z), y

    return lambda ws, x: lax.scan(body, x, ws)[1]


TRANSFORMED = {
    "value": lambda f: f(W, X),
    "jvp": lambda f: jax.jvp(f, (W, X), (2 * W, X)),
    "grad": lambda f: jax.grad(loss(f), (0, 1))(W, X),
    "grad of one argument": lambda f: jax.grad(lambda x: loss(f)(W, (x, X[1])))(X[0]),
    "Hessian": lambda f: jax.hessian(loss(f), (0, 1))(W, X),
    "forward over forward": lambda f: jax.jacfwd(jax.jacfwd(loss(f), 1), 1)(W, X),
    "reverse over reverse": lambda f: jax.jacrev(jax.jacrev(loss(f), 1), 1)(W, X),
    "reverse over forward": lambda f: jax.jacrev(jax.jacfwd(loss(f), (0, 1)), 1)(W, X),
    "vmap": lambda f: jax.vmap(f)(WS, XS),
    "vmap of inputs": lambda f: jax.vmap(f, (None, 0))(W, XS),
    "vmap of residuals": lambda f: jax.vmap(f, (0, None))(WS, X),
    "vmap of grad": lambda f: jax.vmap(jax.grad(loss(f), (0, 1)))(WS, XS),
    "vmap of grad, shared": lambda f: jax.vmap(jax.grad(loss(f), (0, 1)), (None, 0))(W, XS),
    "grad of vmap": lambda f: jax.grad(lambda w: jnp.sum(jax.vmap(loss(f))(w, XS)))(WS),
    "grad of vmap, shared": lambda f: jax.grad(
        lambda x: jnp.sum(jax.vmap(loss(f), (0, None))(WS, x))
    )(X),
    "vmap, last axis": lambda f: jax.vmap(jax.grad(loss(f), 1), (2, (1, 1)))(
        jnp.moveaxis(WS, 0, 2), jax.tree.map(jnp.transpose, XS)
    ),
    "checkpoint": lambda f: jax.grad(jax.checkpoint(loss(f)), (0, 1))(W, X),
    "grad of a scan": lambda f: jax.grad(lambda w: jnp.sum(jnp.sin(in_a_scan(f)(w, X))))(WS),
    "grad in a scan": lambda f: lax.scan(
        lambda x, w: (jax.tree.map(jnp.sin, jax.grad(loss(f), 1)(w, x)), x), X, WS
    ),
    "transpose": lambda f: jax.linear_transpose(lambda x: f(W, x), X)(f(W, X)),
    "second transpose": lambda f: jax.linear_transpose(
        lambda y: jax.linear_transpose(lambda x: f(W, x), X)(y)[0], f(W, X)
    )(X),
}


@cases("name", TRANSFORMED, short=3)
def test_every_transformation_gives_what_the_function_itself_gives(name):
    run = TRANSFORMED[name]
    expected = jax.jit(lambda: run(plain))()
    for found in (jax.jit(lambda: run(called))(), run(called)):
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=TOLERANCE, atol=TOLERANCE),
            found,
            expected,
        )


def test_the_backward_pass_is_the_one_given():
    def wrong(w, cotangents):
        return jax.tree.map(lambda leaf: 3 * leaf, back(w, cotangents))

    def gradients(pull):
        of_x = jax.grad(loss(lambda w, x: linear_call(plain, pull, w, x)), 1)
        return jax.vmap(of_x, (None, 0))(W, XS)

    found, right = gradients(wrong), gradients(back)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, 3 * b, rtol=TOLERANCE), found, right)
