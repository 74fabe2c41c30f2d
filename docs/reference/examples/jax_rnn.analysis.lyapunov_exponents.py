import jax
from flax import nnx

from jax_rnn import LSTMCell
from jax_rnn.analysis import lyapunov_exponents

x = jax.random.normal(jax.random.key(0), (20, 2, 3))
exponents = lyapunov_exponents(LSTMCell(3, 8, rngs=nnx.Rngs(0)), x, count=3)
assert exponents.shape == (2, 3)  # (B, count)
assert (exponents < 0).all()  # small changes of the state die out
