"""Memory: symbols to be repeated after a delay, or picked out of blanks."""

from math import log
from typing import Any

import jax
import jax.numpy as jnp

from jax_rnn.probes.task import Example, Task

__all__ = ["Copying", "SelectiveCopying"]

SYMBOLS, COUNT = 8, 10
BLANK, GO = SYMBOLS, SYMBOLS + 1


class Copying(Task):
    """Ten symbols, a delay, and a mark, after which the ten symbols are to be repeated.

    The loss counts all positions, as in the paper, and the score the ten symbols.
    """

    title = "copy ten symbols after a delay"
    inputs, outputs = SYMBOLS + 2, SYMBOLS + 1
    length = 80
    baseline = 1 / SYMBOLS
    source = "Arjovsky et al., Unitary evolution recurrent neural networks, 2015"

    @property
    def baseline_loss(self) -> float:
        """Cross entropy of a model that remembers nothing."""
        return COUNT * log(SYMBOLS) / self.length

    def sample(self, key: Any, batch: int, length: int) -> Example:
        symbols = jax.random.randint(key, (batch, COUNT), 0, SYMBOLS)
        x = jnp.full((batch, length), BLANK).at[:, :COUNT].set(symbols)
        x = x.at[:, length - COUNT - 1].set(GO)
        y = jnp.full((batch, length), BLANK).at[:, -COUNT:].set(symbols)
        ones = jnp.ones(x.shape)
        return Example(x, y, ones, ones.at[:, :-COUNT].set(0))


class SelectiveCopying(Task):
    """Sixteen symbols among blanks, to be repeated in their order at the end."""

    title = "copy sixteen symbols from among blanks"
    inputs, outputs = 16, 16
    length = 128
    baseline = 1 / 14
    source = "Gu & Dao, Mamba, 2023"
    count = 16

    def sample(self, key: Any, batch: int, length: int) -> Example:
        blank, go, count = self.inputs - 2, self.inputs - 1, self.count
        first, second = jax.random.split(key)
        symbols = jax.random.randint(first, (batch, count), 0, blank)
        noise = jax.random.uniform(second, (batch, length - count))
        places = jnp.sort(jnp.argsort(noise, axis=1)[:, :count], axis=1)
        x = jnp.full((batch, length), blank).at[:, -count:].set(go)
        x = x.at[jnp.arange(batch)[:, None], places].set(symbols)
        y = jnp.zeros_like(x).at[:, -count:].set(symbols)
        scored = jnp.zeros(x.shape).at[:, -count:].set(1)
        return Example(x, y, scored, scored)
