import jax
import jax.numpy as jnp
import optax
from flax import nnx

from jax_rnn import GRU, fit

x = jax.random.normal(jax.random.key(0), (8, 5, 1))  # (B, T, I)
batch = {"x": x, "y": jnp.cumsum(x, axis=1)}  # a running sum


def loss(model, batch):
    return ((model(batch["x"])[0].sum(-1, keepdims=True) - batch["y"]) ** 2).mean()


model = GRU(1, 4, batch_first=True, rngs=nnx.Rngs(0))
history = fit(model, loss, batch, steps=20, optimizer=optax.adam(0.05))
assert history.loss[-1] < history.loss[0]
