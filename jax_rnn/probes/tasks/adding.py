"""The adding problem."""

from typing import Any

import jax
import jax.numpy as jnp

from jax_rnn.probes.task import Example, Task

__all__ = ["Adding"]


class Adding(Task):
    """Numbers from U(0, 1), two of them marked, whose sum is to be given at the end."""

    title = "sum of the two marked numbers"
    inputs, outputs = 2, 1
    numbers = True
    length = 100
    baseline = 1 / 6
    source = "Hochreiter & Schmidhuber, Long short-term memory, 1997"

    def sample(self, key: Any, batch: int, length: int) -> Example:
        values, first, second = jax.random.split(key, 3)
        numbers = jax.random.uniform(values, (batch, length))
        half = length // 2
        places = (
            jax.random.randint(first, (batch,), 0, half),
            jax.random.randint(second, (batch,), half, length),
        )
        marks = sum(jax.nn.one_hot(place, length) for place in places)
        y = jnp.zeros((batch, length)).at[:, -1].set((numbers * marks).sum(1))
        weight = jnp.zeros((batch, length)).at[:, -1].set(1)
        return Example(jnp.stack([numbers, marks], -1), y, weight, weight)
