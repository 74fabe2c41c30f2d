"""Lessons 13_1, 13_2 and 13_4: classify surnames by language, and generate them.

Half of the names are Russian and one in 250 is Vietnamese. With equal weights for all names a model
neglects rare languages; with equal weights for all languages it predicts them too often. Here a
name of a language with n_k names has the weight ``n_k ** -POWER``.

The files contain duplicates: 108 Arabic names make 2,000 rows. A model trained on the rows would
memorize these names, and 19 names would determine a tenth of the accuracy. Here duplicates of a
name in one language count once. Some names belong to several languages: ``accuracy`` is the share
of names whose prediction is one of their languages, ``pair_accuracy`` counts a name once per
language, of which at most one can be correct, and ``row_accuracy`` counts the rows of the files.
``macro_recall`` is the mean over languages of the share of names classified correctly.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np

from jax_rnn.base.errors import ArgumentError
from jax_rnn.data import names
from jax_rnn.data.dataset import Data
from jax_rnn.data.names import NameRows
from jax_rnn.data.shuffled import Shuffled
from rnn_lecture.facts import Facts
from rnn_lecture.recipe import Recipe

POWER = 0.5
"""Exponent of the weights of names: 0 gives all names equal weight, 1 all languages."""
SMOOTHING = 0.1
"""Share of each label that is distributed over all languages."""
LIKELIEST = 3
"""Number of languages in an answer."""
EDGE = 0
"""The symbol before the first letter of a generated name and after the last."""
GENERATED = 10
"""Number of names generated for a prompt."""


class Surnames(Facts):
    """Surnames and their languages; symbol 0 is the padding, and the edge of a generated name."""

    def sizes(self, vocabulary: Mapping[str, Any]) -> dict[str, int]:
        languages = len(vocabulary["languages"])
        return {"symbols": len(vocabulary["symbols"]) + 1, "languages": languages}


class Names(Surnames):
    name = "names"
    slide = "Name classification (programs 13_1, 13_2 and 13_4)"
    teaches = "A name is classified by the final states of both directions; padding has no effect."

    def read(self, text: Path | None = None) -> Data:
        """Names and their languages, arrays with one row per name.

        ``inputs`` (N, T) int32 are the letters, padded with 0, ``lengths`` (N,) int32 their number,
        ``labels`` (N,) int32 the language and ``repeats`` (N,) int32 the number of rows in the
        file. ``weights`` (N,) float32, only in ``train``, are the weights in the loss, with mean 1.
        """
        read = names.read_names()
        train, held_out = distinct(read.train), distinct(read.held_out)
        return Data(train | {"weights": weights(train["labels"])}, held_out, read.vocabulary)

    def batches(self, recipe: Recipe, data: Data) -> Shuffled:
        arrays = {name: array for name, array in data.train.items() if name != "repeats"}
        return Shuffled(arrays, recipe.batch_size, recipe.seed)


class NamesGenerate(Surnames):
    name = "names_generate"
    slide = "RNN Applications, one to many"
    teaches = "A name is drawn letter by letter, given its language, until the end symbol."

    def read(self, text: Path | None = None) -> Data:
        """Inputs and labels, arrays with one row per name; see ``spell``."""
        read = names.read_names()
        return Data(spell(read.train), spell(read.held_out), read.vocabulary)


NAMES, NAMES_GENERATE = Names(), NamesGenerate()


def distinct(rows: NameRows) -> dict[str, np.ndarray]:
    """Each name once per language, in the order of first occurrence."""
    pairs = np.column_stack([rows.ids, rows.language])
    _, first, repeats = np.unique(pairs, axis=0, return_index=True, return_counts=True)
    order = np.argsort(first)
    chosen = first[order]
    return {
        "inputs": rows.ids[chosen],
        "lengths": rows.lengths[chosen],
        "labels": rows.language[chosen],
        "repeats": repeats[order].astype(np.int32),
    }


def weights(labels: np.ndarray) -> np.ndarray:
    """Weights of the names, float32 (N,): n_k ** -POWER, divided by the mean over all names."""
    each = np.bincount(labels)[labels] ** -POWER
    return (each / each.mean()).astype(np.float32)


def spell(rows: NameRows) -> dict[str, np.ndarray]:
    """Inputs and labels of names, int32 arrays padded with 0, with one row per name.

    ``inputs`` (N, T) are EDGE and the letters, ``labels`` (N, T) the letters and EDGE, ``lengths``
    (N,) the number of letters plus one, and ``language`` (N,).
    """
    edge = np.full((len(rows.ids), 1), EDGE, np.int32)
    return {
        "inputs": np.concatenate([edge, rows.ids], axis=1),
        "labels": np.concatenate([rows.ids, edge], axis=1),
        "lengths": rows.lengths + np.int32(1),
        "language": rows.language,
    }


def language_number(language: str, languages: list[str]) -> int:
    """Index of a language. ValueError: an unknown language, with a suggestion."""
    if language not in languages:
        nearest = get_close_matches(language.capitalize(), languages, n=1, cutoff=0.5)
        hint = f"; did you mean {nearest[0]!r}?" if nearest else "."
        raise ArgumentError(
            "prompt",
            f"expected a language, or a language and a beginning as in 'Russian:Ro', "
            f"got {language!r}{hint} The languages are {', '.join(languages)}",
        )
    return languages.index(language)
