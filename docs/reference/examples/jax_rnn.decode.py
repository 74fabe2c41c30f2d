import jax.numpy as jnp
from flax import nnx

from jax_rnn import GRU, Embedding, Linear, decode

rngs = nnx.Rngs(0)
embedding, layer = Embedding(10, 3, rngs=rngs), GRU(3, 4, rngs=rngs)
linear = Linear(4, 10, rngs=rngs)


def step(symbols, state):
    y, state = layer.step(embedding(symbols), state)
    return linear(y), state  # the logits of the next symbol


prompt = jnp.array([[1, 2], [3, 4]])  # (P, B)
symbols, state = decode(step, layer.initial_state(2), prompt, 6)  # the likeliest ones
assert symbols.shape == (6, 2)
