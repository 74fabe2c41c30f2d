import jax
from flax import nnx

from jax_rnn import LSTMCell
from jax_rnn.analysis import gradient_norms

x = jax.random.normal(jax.random.key(0), (20, 2, 3))  # (T, B, I)
norms = gradient_norms(LSTMCell(3, 8, rngs=nnx.Rngs(0)), x)
assert norms.shape == (20, 2)  # (T, B)
assert (norms[0] < norms[-1]).all()  # the gradient vanishes towards the past
