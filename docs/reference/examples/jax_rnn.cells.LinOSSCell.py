import jax
from flax import nnx

from jax_rnn import Recurrent
from jax_rnn.cells import LinOSSCell

layer = Recurrent(LinOSSCell(3, 4, rngs=nnx.Rngs(0)), scan="associative")
output, state = layer(jax.random.normal(jax.random.key(0), (64, 2, 3)))
assert output.shape[:2] == (64, 2)
assert state.shape == (1, 2, 4, 2)  # (layers, B, H, 2)
