"""Formal languages: which symbols may come next."""

from typing import Any

import jax
import jax.numpy as jnp

from jax_rnn.probes.task import Example, Task

__all__ = ["AnBn", "Dyck"]


class Dyck(Task):
    """Brackets of one kind: the number that are open after each symbol, up to a bound."""

    title = "number of open brackets, at most seven"
    inputs, outputs = 2, 8
    baseline = 0.25
    source = "Hewitt et al., RNNs can generate bounded hierarchical languages, 2020"

    @property
    def lengths(self) -> tuple[int, ...]:
        return self.length, 4 * self.length

    def sample(self, key: Any, batch: int, length: int) -> Example:
        draws = jax.random.bernoulli(key, 0.5, (length, batch))

        def step(depth: Any, up: Any) -> Any:
            up = jnp.where(depth == 0, True, jnp.where(depth == self.outputs - 1, False, up))
            depth = depth + jnp.where(up, 1, -1)
            return depth, (up.astype(int), depth)

        _, (x, y) = jax.lax.scan(step, jnp.zeros(batch, int), draws)
        ones = jnp.ones((batch, length))
        return Example(x.T, y.T, ones, ones)


class AnBn(Task):
    """Words a^n b^n one after another: after each b, whether it is the last of its word."""

    title = "end of the words a^n b^n"
    inputs = outputs = 2
    baseline = 7 / 9
    longest = 8
    source = "Gers & Schmidhuber, LSTM recurrent networks learn simple languages, 2001"

    @property
    def lengths(self) -> tuple[int, ...]:
        return self.length, 4 * self.length

    def sample(self, key: Any, batch: int, length: int) -> Example:
        draws = jax.random.randint(key, (length, batch), 1, self.longest + 1)

        def step(state: Any, n: Any) -> Any:
            size, place = state
            ended = place == 2 * size
            size, place = jnp.where(ended, n, size), jnp.where(ended, 0, place)
            is_b, place = place >= size, place + 1
            return (size, place), (is_b.astype(int), (place == 2 * size).astype(int))

        zero = jnp.zeros(batch, int)
        _, (x, y) = jax.lax.scan(step, (zero, zero), draws)
        scored = x.T.astype(float)
        return Example(x.T, y.T, scored, scored)
