from flax import nnx

from jax_rnn import RNNCell
from jax_rnn.scans import Sequential
from jax_rnn.testing import check_scan

passed = check_scan(Sequential(unroll=2), RNNCell(2, 3, rngs=nnx.Rngs(0)))
assert "gradients" in passed and "reverse" in passed
