"""Associative recall."""

from typing import Any

import jax
import jax.numpy as jnp

from jax_rnn.probes.task import Example, Task

__all__ = ["Recall"]


class Recall(Task):
    """Pairs of a key and a value, then keys again, each to be answered with its value (MQAR)."""

    title = "recall the values of keys"
    length = 64
    pairs = 8
    keys = values = 16
    inputs, outputs = keys + values, values
    baseline = 1 / values
    source = "Arora et al., Zoology, 2023"

    def sample(self, key: Any, batch: int, length: int) -> Example:
        first, second, third = jax.random.split(key, 3)
        order = jnp.argsort(jax.random.uniform(first, (batch, self.keys)), axis=1)
        keys = order[:, : self.pairs]
        values = jax.random.randint(second, (batch, self.pairs), 0, self.values)
        asked = length - 2 * self.pairs
        picks = jax.random.randint(third, (batch, asked), 0, self.pairs)
        told = jnp.stack([keys, values + self.keys], -1).reshape(batch, -1)
        x = jnp.concatenate([told, jnp.take_along_axis(keys, picks, 1)], 1)
        answers = jnp.take_along_axis(values, picks, 1)
        y = jnp.concatenate([jnp.zeros_like(told), answers], 1)
        scored = jnp.zeros(x.shape).at[:, 2 * self.pairs :].set(1)
        return Example(x, y, scored, scored)
