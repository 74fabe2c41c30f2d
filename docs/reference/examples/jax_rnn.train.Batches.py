import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from jax_rnn import Linear, fit
from jax_rnn.train import Batches


class Drawn:
    """New numbers at every step, which depend only on the number of the step."""

    size, tokens = 4, 4 * 3  # of the whole batch

    def __call__(self, step, rows):
        return np.random.default_rng(step).normal(size=(4, 3))[rows]


def loss(model, x):
    return jnp.square(model(x)).mean()


data: Batches = Drawn()
fit(Linear(3, 1, rngs=nnx.Rngs(0)), loss, data, steps=3, optimizer=optax.sgd(0.1))
