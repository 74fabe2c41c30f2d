"""A lesson that is not part of the project: recall the first symbol of a sequence."""

from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np

from jax_rnn.data.dataset import Data
from jax_rnn.data.shuffled import Shuffled
from rnn_lecture.facts import Facts
from rnn_lecture.recipe import Recipe


class RecallFacts(Facts):
    name = "recall"
    slide = "none"
    teaches = "The last state knows the first symbol."
    recipe = Recipe(hidden_size=7, batch_size=6, steps=8, learning_rate=0.02, evaluate_every=4)
    recipes = MappingProxyType({"rnn": replace(recipe, cell="rnn", learning_rate=2e-3)})

    def read(self, recipe: Recipe, text: Path | None = None) -> Data:
        inputs = np.random.default_rng(0).integers(0, 3, (40, 5)).astype(np.int32)
        train, held_out = ({"inputs": x, "labels": x[:, 0]} for x in (inputs[:30], inputs[30:]))
        return Data(train, held_out, {"symbols": "abc"})

    def batches(self, recipe: Recipe, data: Data) -> Shuffled:
        return Shuffled(data.train, recipe.batch_size, recipe.seed)
