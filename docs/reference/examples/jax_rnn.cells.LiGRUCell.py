import jax
from flax import nnx

from jax_rnn import Recurrent
from jax_rnn.cells import LiGRUCell

rngs = nnx.Rngs(0)
layer = Recurrent((LiGRUCell(40, 8, rngs=rngs), LiGRUCell(40, 8, rngs=rngs)), batch_first=True)
frames = jax.random.normal(jax.random.key(0), (2, 9, 40))  # (B, T, filter banks)
output, h_n = layer(frames)
assert output.shape == (2, 9, 16)
assert (output >= 0).all()  # means of relus
