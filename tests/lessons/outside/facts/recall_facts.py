"""A lesson that is not part of the project: recall the first symbol of a sequence."""

import numpy as np

from jax_rnn.data.dataset import Data
from rnn_lecture.facts import Facts


class Recall(Facts):
    name = "recall"
    slide = "none"
    teaches = "The last state knows the first symbol."

    def read(self, text=None):
        inputs = np.random.default_rng(0).integers(0, 3, (40, 5)).astype(np.int32)
        train, held_out = ({"inputs": x, "labels": x[:, 0]} for x in (inputs[:30], inputs[30:]))
        return Data(train, held_out, {"symbols": "abc"})

    def sizes(self, vocabulary):
        return {"symbols": len(vocabulary["symbols"])}


RECALL = Recall()
