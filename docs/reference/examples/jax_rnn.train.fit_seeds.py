import jax.numpy as jnp
import optax

from jax_rnn import Linear
from jax_rnn.train import fit_seeds


def build(rngs):
    return Linear(3, 1, rngs=rngs)


def loss(model, x):
    return (model(x) ** 2).mean()


history = fit_seeds(
    build, loss, jnp.ones((4, 3)), seeds=range(5), steps=10, optimizer=optax.sgd(0.1)
)
assert history.loss.shape == (5, 10)  # all seeds in one program
