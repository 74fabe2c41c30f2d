"""Lesson 13_3: a character language model."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jax_rnn.data import files
from jax_rnn.data.dataset import Data
from jax_rnn.data.text import TextBatches, read_text
from rnn_lecture.facts import Facts
from rnn_lecture.recipe import Recipe

__all__ = ["CHAR_LM", "HELD_OUT", "SLICE", "STREAMS", "side_by_side"]

HELD_OUT = 250_000
"""Maximum number of characters in an evaluation, which bounds its cost."""
STREAMS, SLICE = 32, 128
"""Number of streams of the held-out text, and number of steps per call."""


class CharLM(Facts):
    name = "char_lm"
    slide = "Language modeling (program 13_3)"
    teaches = "A character language model whose state is carried from window to window."
    takes_text = True

    def read(self, text: Path | None = None) -> Data:
        return read_text(files.fetch("tinyshakespeare.txt") if text is None else text)

    def batches(self, recipe: Recipe, data: Data) -> TextBatches:
        return TextBatches(data.train, recipe.batch_size, recipe.window)

    def sizes(self, vocabulary: Mapping[str, Any]) -> dict[str, int]:
        return {"symbols": len(vocabulary["symbols"])}


CHAR_LM = CharLM()


def side_by_side(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Held-out text as B parallel streams: inputs and labels (B, T).

    Only the first ``HELD_OUT`` characters are used. B is at most 32 and T is a multiple of the
    slice; labels after the end of a stream are -1. Fewer than B characters at the end are left out.

    Raises:
        ValueError: fewer than 2 characters.
    """
    if len(ids) < 2:
        raise ValueError(
            f"text: expected at least 2 held-out characters, got {len(ids)}; use a longer text"
        )
    ids = ids[: HELD_OUT + 1]
    count = min(max((len(ids) - 1) // SLICE, 1), STREAMS)
    length = (len(ids) - 1) // count
    padded = -(-length // SLICE) * SLICE
    inputs = np.zeros((count, padded), np.int32)
    labels = np.full((count, padded), -1, np.int32)
    inputs[:, :length] = ids[: count * length].reshape(count, length)
    labels[:, :length] = ids[1 : count * length + 1].reshape(count, length)
    return inputs, labels
