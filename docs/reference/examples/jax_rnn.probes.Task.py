import jax
import jax.numpy as jnp

from jax_rnn.probes import Example, Task


class Echo(Task):
    """The symbol of three steps before."""

    title = "repeat each symbol three steps later"
    inputs = outputs = 4

    def sample(self, key, batch, length):
        x = jax.random.randint(key, (batch, length), 0, 4)
        weight = jnp.ones(x.shape).at[:, :3].set(0)
        return Example(x, jnp.roll(x, 3, axis=1), weight, weight)


example = Echo().sample(jax.random.key(0), 2, 8)
assert (example.y[:, 3:] == example.x[:, :-3]).all()
