import tempfile

import jax.numpy as jnp
import optax
from flax import nnx

from jax_rnn import Linear, fit
from jax_rnn.train import Run, load


class Model(nnx.Module):
    def __init__(self, size, rngs):
        self.linear = Linear(size, 1, rngs=rngs)


def loss(model, x):
    return (model.linear(x) ** 2).mean()


with tempfile.TemporaryDirectory() as folder:
    config = {"model": {"class": "models:Model", "options": {"size": 3}}}
    with Run(folder, config) as run:
        model = Model(3, nnx.Rngs(0))
        fit(model, loss, jnp.ones((4, 3)), steps=5, optimizer=optax.sgd(0.1), run=run)
    trained = load(folder, "last", model=Model)
assert (trained.linear.kernel[...] == model.linear.kernel[...]).all()
