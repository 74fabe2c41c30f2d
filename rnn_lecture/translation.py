"""Lessons 14_1 and 14_2: translate a date in any common format to ISO 8601."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jax_rnn.data import dates
from jax_rnn.data.dataset import Data
from jax_rnn.data.dates import END, START, DateRows
from jax_rnn.data.vocabulary import Vocabulary
from rnn_lecture.facts import Facts

__all__ = ["SEQ2SEQ", "SEQ2SEQ_ATTENTION", "pairs", "vocabularies"]


class Dates(Facts):
    def __init__(self, name: str, slide: str, teaches: str):
        self.name, self.slide, self.teaches = name, slide, teaches

    def read(self, text: Path | None = None) -> Data:
        """Sources and their translations, arrays with one row per pair; see ``pairs``."""
        read = dates.read_dates()
        return Data(pairs(read.train), pairs(read.held_out), read.vocabulary)

    def sizes(self, vocabulary: Mapping[str, Any]) -> dict[str, int]:
        source, target = vocabularies(vocabulary)
        return {"source_symbols": len(source), "target_symbols": len(target)}


SEQ2SEQ = Dates(
    "seq2seq",
    "Sequence to sequence (program 14_1)",
    "An encoder reads a date, and a decoder writes it as ISO 8601 from the final state.",
)
SEQ2SEQ_ATTENTION = Dates(
    "seq2seq_attention",
    "Sequence to sequence with attention (program 14_2)",
    "For each output symbol, the decoder attends to all outputs of the encoder.",
)


def pairs(rows: DateRows) -> dict[str, np.ndarray]:
    """Int32 arrays with one row per pair.

    ``sources`` (N, S) padded with 0, ``lengths`` (N,) of the sources, ``targets`` (N, R), each
    ending with END and then padded with 0.
    """
    return {"sources": rows.sources, "lengths": rows.source_lengths, "targets": rows.targets}


def vocabularies(vocabulary: Mapping[str, Any]) -> tuple[Vocabulary, Vocabulary]:
    """Vocabularies of sources, with ids from 1, and of targets, with ids from 2."""
    source, target = vocabulary["source_symbols"], vocabulary["target_symbols"]
    return Vocabulary(source, first=START + 1), Vocabulary(target, first=END + 1)
