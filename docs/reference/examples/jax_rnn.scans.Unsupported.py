from flax import nnx

from jax_rnn import GRUCell
from jax_rnn.scans import Associative, Unsupported

answer = Associative().supports(GRUCell(3, 4, rngs=nnx.Rngs(0)))
assert not answer  # a false value
if isinstance(answer, Unsupported):
    print(answer.why)
