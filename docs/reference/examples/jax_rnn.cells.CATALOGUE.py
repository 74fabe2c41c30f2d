from flax import nnx

from jax_rnn.cells import CATALOGUE

print(*CATALOGUE)  # rnn lstm gru ...
rngs = nnx.Rngs(0)
cells = {name: CATALOGUE[name].build(8, 8, rngs=rngs) for name in ("gru", "min_gru", "lru")}
assert all(cell.hidden_size == 8 for cell in cells.values())
