"""Lessons 14_1 and 14_2: translate a date in any common format to ISO 8601."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from jax_rnn.data import dates
from jax_rnn.data.dataset import Data
from jax_rnn.data.dates import END, START, DateRows
from jax_rnn.data.shuffled import Shuffled
from jax_rnn.data.vocabulary import Vocabulary
from rnn_lecture.facts import Facts
from rnn_lecture.recipe import Recipe

__all__ = ["Seq2SeqAttentionFacts", "Seq2SeqFacts", "pairs", "vocabularies"]


class Seq2SeqFacts(Facts):
    name = "seq2seq"
    slide = "14_1"
    teaches = "An encoder reads a date, and a decoder writes it as ISO 8601 from the final state."
    recipe = Recipe(
        cell="gru",
        embedding_size=32,
        hidden_size=128,
        batch_size=64,
        steps=3000,
        learning_rate=3e-3,
        warmup=100,
        schedule="cosine",
        clip=1.0,
        evaluate_every=250,
    )

    def read(self, recipe: Recipe, text: Path | None = None) -> Data:
        """Sources and their translations, arrays with one row per pair; see ``pairs``."""
        read = dates.read_dates()
        return Data(pairs(read.train), pairs(read.held_out), read.vocabulary)

    def batches(self, recipe: Recipe, data: Data) -> Shuffled:
        return Shuffled(data.train, recipe.batch_size, recipe.seed)


class Seq2SeqAttentionFacts(Seq2SeqFacts):
    name = "seq2seq_attention"
    slide = "14_2"
    teaches = "For each output symbol, the decoder attends to all outputs of the encoder."
    recipe = replace(Seq2SeqFacts.recipe, steps=2000, learning_rate=2e-3)


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
