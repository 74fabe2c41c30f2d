import jax.numpy as jnp
from flax import nnx

from jax_rnn import GatedCell, HiddenCarry
from jax_rnn.testing import check_cell


class SineCell(GatedCell[HiddenCarry]):
    gates = ("n",)

    def update(self, gates, carry):
        h = jnp.sin(gates.n)
        return HiddenCarry(h), h


passed = check_cell(SineCell(2, 3, rngs=nnx.Rngs(0)))
print(len(passed), "checks passed")
