import jax.numpy as jnp
from flax import nnx

from jax_rnn import LSTMCell, Recurrent, Wrapper


class ClippedState(Wrapper):
    """The cell state of an LSTM stays between -0.1 and 0.1."""

    def on_update(self, old, new, y):
        return new._replace(c=jnp.clip(new.c, -0.1, 0.1)), y


layer = Recurrent(ClippedState(LSTMCell(3, 4, rngs=nnx.Rngs(0))))
_, (h_n, c_n) = layer(jnp.ones((7, 2, 3)))
assert (abs(c_n) <= 0.1).all()
