import tempfile
from pathlib import Path

import jax.numpy as jnp
import optax
from flax import nnx

from jax_rnn import Linear, fit
from jax_rnn.train import Run


def loss(model, x):
    return (model(x) ** 2).mean()


with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "mine"
    with Run(path, {"hyperparameters": {"learning_rate": 0.1}}) as run:
        model = Linear(3, 1, rngs=nnx.Rngs(0))
        fit(model, loss, jnp.ones((4, 3)), steps=5, optimizer=optax.sgd(0.1), run=run)
    assert run.checkpoints.latest() == 5
    assert (path / "metrics.csv").exists()
