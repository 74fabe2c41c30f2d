"""State tracking: after every symbol, the product of all elements of a group so far."""

from itertools import permutations
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jax_rnn.probes.task import Example, Task

__all__ = ["S3", "Parity"]


ELEMENTS = list(permutations(range(3)))


class Tagging(Task):
    """The running product in a finite group, which is the target at every step."""

    table: np.ndarray
    """``table[state, symbol]`` is the next state; state 0 is the unit."""

    @property
    def lengths(self) -> tuple[int, ...]:
        return tuple(self.length * 2**k for k in range(5))

    def sample(self, key: Any, batch: int, length: int) -> Example:
        x = jax.random.randint(key, (batch, length), 0, self.inputs)
        table = jnp.asarray(self.table)

        def step(state: Any, symbol: Any) -> Any:
            state = table[state, symbol]
            return state, state

        _, y = jax.lax.scan(step, jnp.zeros(batch, x.dtype), x.T)
        ones = jnp.ones(x.shape)
        return Example(x, y.T, ones, ones)


class Parity(Tagging):
    """Whether the number of ones so far is odd."""

    title = "parity of the bits so far"
    inputs = outputs = 2
    baseline = 0.5
    table = np.array([[0, 1], [1, 0]])
    source = "Merrill et al., The illusion of state in state-space models, 2024"


class S3(Tagging):
    """The product of permutations of three objects so far, in a group that does not commute."""

    title = "product of permutations of three so far"
    inputs = outputs = 6
    baseline = 1 / 6
    source = "Merrill et al., The illusion of state in state-space models, 2024"

    table = np.array([[ELEMENTS.index(tuple(a[k] for k in b)) for b in ELEMENTS] for a in ELEMENTS])
