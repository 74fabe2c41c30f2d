from flax import nnx

from jax_rnn import GRUCell
from jax_rnn.analysis import hidden_radii

radii = hidden_radii(GRUCell(3, 8, rngs=nnx.Rngs(0)))
assert list(radii) == ["r", "z", "n"]
assert all(0 < radius < 2 for radius in radii.values())
