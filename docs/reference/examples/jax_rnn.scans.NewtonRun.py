import jax
from flax import nnx

from jax_rnn import GRU
from jax_rnn.scans import Newton, NewtonRun

layer = GRU(3, 4, scan=Newton(lyapunov=True), rngs=nnx.Rngs(0))
x = jax.random.normal(jax.random.key(0), (64, 2, 3))
(run,) = layer(x, return_extras=True)[2]  # one for each layer
assert isinstance(run, NewtonRun) and run.converged
assert run.lyapunov is not None and run.lyapunov < 0  # the cell forgets its state
