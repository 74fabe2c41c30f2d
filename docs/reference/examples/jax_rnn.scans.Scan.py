from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import nnx

from jax_rnn import GRU
from jax_rnn.scans import Scan, advance


@dataclass(frozen=True)
class Plain(Scan):
    """The shortest scan."""

    def __call__(self, cell, carry, inputs, constants, *, reverse=False):
        def body(carry, now):
            return advance(cell, carry, now, constants)

        return jax.lax.scan(body, carry, inputs, reverse=reverse)


output, _ = GRU(3, 4, scan=Plain(), rngs=nnx.Rngs(0))(jnp.ones((7, 2, 3)))
assert output.shape == (7, 2, 4)
