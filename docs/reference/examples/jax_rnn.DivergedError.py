import jax.numpy as jnp
import optax
from flax import nnx

from jax_rnn import DivergedError, Linear, fit


def evaluate(model):
    raise OverflowError("math range error")  # e.g. math.exp of a large loss


def loss(model, x):
    return (model(x) ** 2).mean()


model = Linear(3, 1, rngs=nnx.Rngs(0))
try:
    fit(model, loss, jnp.ones((4, 3)), steps=1, optimizer=optax.sgd(0.1), evaluate=evaluate)
except DivergedError as error:
    print(error.step)  # the evaluation was after step 1
else:
    raise AssertionError("expected a DivergedError")
