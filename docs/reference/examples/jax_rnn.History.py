import jax.numpy as jnp
import optax
from flax import nnx

from jax_rnn import History, Linear, fit


def loss(model, x):
    value = (model(x) ** 2).mean()
    return value, {"root": jnp.sqrt(value)}  # metrics, of every step


model = Linear(3, 1, rngs=nnx.Rngs(0))
history = fit(model, loss, jnp.ones((4, 3)), steps=5, optimizer=optax.sgd(0.1))
assert isinstance(history, History)
assert history.loss.shape == history.metrics["root"].shape == (5,)
print(history.compile_seconds, history.run_seconds)
