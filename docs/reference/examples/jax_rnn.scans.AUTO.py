from flax import nnx

from jax_rnn import GRU, LRUCell, Recurrent
from jax_rnn.scans import AUTO

print(*AUTO)  # the scans that "auto" tries, in this order
rngs = nnx.Rngs(0)
for layer in (GRU(3, 4, rngs=rngs), Recurrent(LRUCell(3, 4, rngs=rngs))):
    (chosen,) = layer.chosen_scans((100, 2, 3))
    assert type(chosen) in {type(scan) for scan in AUTO}
