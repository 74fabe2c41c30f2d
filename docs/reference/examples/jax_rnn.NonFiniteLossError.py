import jax.numpy as jnp
import optax
from flax import nnx

from jax_rnn import Linear, NonFiniteLossError, fit


def loss(model, x):
    return jnp.log(model(x) * 0 - 1).mean()  # NaN


model = Linear(3, 1, rngs=nnx.Rngs(0))
try:
    fit(model, loss, jnp.ones((4, 3)), steps=5, optimizer=optax.sgd(0.1))
except NonFiniteLossError as error:
    assert error.step == 1
    assert len(error.history.loss) == 1  # it ends with that step
else:
    raise AssertionError("expected a NonFiniteLossError")
