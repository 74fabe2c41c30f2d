"""Exercise 11-4 as windows of ten letters.

The sentence is split into 170 overlapping windows. The first letters of a window do not determine
its position in the sentence, so the next letter is uncertain for any model that sees only the
letters of the window so far. This bounds the loss from below (0.22849) and the accuracy from above
(0.8965). After eight letters the next one is determined.

Training stops at 70 epochs, before the loss has converged: after that, Adam's steps at this
learning rate are chaotic, and two runs diverge by rounding alone.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from math import log

import numpy as np
from flax import nnx

from jax_rnn.feedforward import Linear
from jax_rnn.initializers import Init
from jax_rnn.layers import LSTM
from jax_rnn.lessons.lesson import Lesson, one_hot
from jax_rnn.lessons.long_sentence import IDS, SYMBOLS

LENGTH = 10
STARTS = range(len(IDS) - LENGTH)
INPUTS = np.stack([IDS[i : i + LENGTH] for i in STARTS])
LABELS = np.stack([IDS[i + 1 : i + 1 + LENGTH] for i in STARTS])


class Model(nnx.Module):
    def __init__(self, *, init: Init = "torch", rngs: nnx.Rngs):
        size = len(SYMBOLS)
        self.lstm = LSTM(size, size, num_layers=2, batch_first=True, init=init, rngs=rngs)
        self.linear = Linear(size, size, init=init, rngs=rngs)

    def __call__(self, inputs, hidden=None):
        outputs, hidden = self.lstm(inputs, hidden)
        return self.linear(outputs), hidden


def limits() -> tuple[float, float]:
    """Lowest cross entropy and highest accuracy of a predictor that sees the window so far."""
    following: dict[bytes, Counter] = defaultdict(Counter)
    for window, labels in zip(INPUTS, LABELS, strict=True):
        for t in range(LENGTH):
            following[window[: t + 1].tobytes()][int(labels[t])] += 1
    contexts = following.values()
    entropy = -sum(n * log(n / next_.total()) for next_ in contexts for n in next_.values())
    best = sum(max(next_.values()) for next_ in contexts)
    return entropy / LABELS.size, best / LABELS.size


def reading(ids: np.ndarray) -> np.ndarray:
    """The whole first window, then the last letter of every other window."""
    return np.concatenate([ids[0], ids[1:, -1]])


def explain(model: Model) -> Iterator[str]:
    floor, ceiling = limits()
    loss, metrics = lesson.score(model, lesson.batch())
    yield "Bounds of a predictor that reads only the letters of the window so far:"
    yield f"  loss {loss:.5f}, never below {floor:.5f}"
    yield f"  accuracy {metrics['accuracy']:.4f}, never above {ceiling:.4f}"


lesson = Lesson(
    name="long_sentence_windows",
    slide="Exercise 11-4",
    teaches="Windows do not determine their position, which bounds the loss from below.",
    symbols=SYMBOLS,
    inputs=one_hot(INPUTS, len(SYMBOLS)),
    labels=LABELS,
    model=Model,
    epochs=70,
    reading=reading,
    explain=explain,
)
