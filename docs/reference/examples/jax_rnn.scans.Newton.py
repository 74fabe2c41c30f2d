import jax
from flax import nnx

from jax_rnn import GRU
from jax_rnn.scans import Newton

layer = GRU(3, 4, scan=Newton(), rngs=nnx.Rngs(0))
x = jax.random.normal(jax.random.key(0), (64, 2, 3))
output, h_n, (run,) = layer(x, return_extras=True)
assert run.converged and run.iterations < 10  # instead of 64 steps
print(int(run.iterations), float(run.residual))
