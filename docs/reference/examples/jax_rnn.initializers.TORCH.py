from dataclasses import replace

from flax import nnx

from jax_rnn import RNNCell, initializers

scheme = replace(initializers.TORCH, name="orthogonal", weight_hh=initializers.FLAX.weight_hh)
cell = RNNCell(3, 4, init=scheme, rngs=nnx.Rngs(0))
weight = cell.weight_hh[...]
assert abs(weight @ weight.T - 1.0 * (weight @ weight.T > 0.5)).max() < 1e-5
