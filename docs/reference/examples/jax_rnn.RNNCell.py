import jax.numpy as jnp
from flax import nnx

from jax_rnn import HiddenCarry, RNNCell

cell = RNNCell(3, 4, bias=False, rngs=nnx.Rngs(0))
x, h = jnp.ones((2, 3)), jnp.ones((2, 4))
_, y = cell(HiddenCarry(h), x)
maps = x @ cell.weight_ih[...].T + h @ cell.weight_hh[...].T
assert jnp.allclose(y, jnp.tanh(maps), atol=1e-6)
