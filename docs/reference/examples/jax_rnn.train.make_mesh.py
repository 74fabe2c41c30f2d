import jax.numpy as jnp
import optax
from flax import nnx

from jax_rnn import Linear, fit
from jax_rnn.train import make_mesh


def loss(model, x):
    return (model(x) ** 2).mean()


mesh = make_mesh("data=1")  # "data=8" divides every batch among eight devices
model = Linear(3, 1, rngs=nnx.Rngs(0))
fit(model, loss, jnp.ones((8, 3)), steps=2, optimizer=optax.sgd(0.1), mesh=mesh)
