"""Tasks on real data: images of digits row by row, and the letters of a text."""

from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jax_rnn.base.extras import optional
from jax_rnn.probes.task import Example, Task

__all__ = ["CharLM", "Digits"]


class Digits(Task):
    """Images of 8 x 8 pixels, pixel by pixel, whose class is to be given at the end.

    The data set is scikit-learn's copy of the UCI digits, 1,797 images; the last 297 are for the
    score.
    """

    title = "class of a digit, pixel by pixel"
    inputs, outputs = 17, 10
    baseline = 0.1
    source = "Alpaydin & Kaynak, Optical recognition of handwritten digits, 1998"
    kept = 297

    @cached_property
    def data(self) -> tuple[np.ndarray, np.ndarray]:
        images, classes = optional("sklearn.datasets").load_digits(return_X_y=True)
        return images.astype(np.int32), classes.astype(np.int32)

    def sample(self, key: Any, batch: int, length: int) -> Example:
        return self._images(key, batch, 0, len(self.data[0]) - self.kept)

    def sample_held_out(self, key: Any, batch: int, length: int) -> Example:
        return self._images(key, batch, len(self.data[0]) - self.kept, len(self.data[0]))

    def _images(self, key: Any, batch: int, first: int, last: int) -> Example:
        images, classes = map(jnp.asarray, self.data)
        rows = jax.random.randint(key, (batch,), first, last)
        x = images[rows]
        y = jnp.zeros_like(x).at[:, -1].set(classes[rows])
        weight = jnp.zeros(x.shape).at[:, -1].set(1)
        return Example(x, y, weight, weight)


class CharLM(Task):
    """The next letter of Shakespeare's plays; the last tenth of the text is for the score."""

    title = "next letter of Shakespeare"
    length = 128
    source = "Karpathy, The unreasonable effectiveness of recurrent neural networks, 2015"

    @cached_property
    def data(self) -> np.ndarray:
        from jax_rnn.data.files import fetch

        text = fetch("tinyshakespeare.txt").read_text("utf-8")
        letters = sorted(set(text))
        return np.array([letters.index(letter) for letter in text], np.int32)

    @property
    def inputs(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return int(self.data.max()) + 1

    @property
    def outputs(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.inputs

    def sample(self, key: Any, batch: int, length: int) -> Example:
        return self._windows(key, batch, length, 0, len(self.data) * 9 // 10)

    def sample_held_out(self, key: Any, batch: int, length: int) -> Example:
        return self._windows(key, batch, length, len(self.data) * 9 // 10, len(self.data))

    def _windows(self, key: Any, batch: int, length: int, first: int, last: int) -> Example:
        text = jnp.asarray(self.data)
        starts = jax.random.randint(key, (batch,), first, last - length - 1)
        windows = text[starts[:, None] + jnp.arange(length + 1)]
        ones = jnp.ones((batch, length))
        return Example(windows[:, :-1], windows[:, 1:], ones, ones)
