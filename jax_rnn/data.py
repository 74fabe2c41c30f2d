"""Data: batches of arrays, and the data sets of the lessons.

``Shuffled(arrays, batch_size, seed)`` makes batches of any arrays. ``read_text`` and
``TextBatches`` turn a text of any length into windows; ``read_names`` and ``read_dates`` read the
data sets of the lessons.
"""

from collections.abc import Mapping
from typing import Any

import rnn_lecture.shuffled
from rnn_lecture.dates import END, START, DateRows, Dates, read_dates
from rnn_lecture.files import fetch, fetch_names
from rnn_lecture.names import NameRows, Names, read_names
from rnn_lecture.text import Text, TextBatches, read_text
from rnn_lecture.vocabulary import Vocabulary

__all__ = [
    "END",
    "START",
    "DateRows",
    "Dates",
    "NameRows",
    "Names",
    "Shuffled",
    "Text",
    "TextBatches",
    "Vocabulary",
    "fetch",
    "fetch_names",
    "read_dates",
    "read_names",
    "read_text",
]


class Shuffled(rnn_lecture.shuffled.Shuffled):
    __doc__ = rnn_lecture.shuffled.Shuffled.__doc__

    def __init__(self, arrays: Mapping[str, Any], batch_size: int, seed: int):
        from jax_rnn.typing import as_numpy  # imports JAX

        if isinstance(arrays, Mapping):
            arrays = {name: as_numpy(array) for name, array in arrays.items()}
        super().__init__(arrays, batch_size, seed)
