"""Exercise 11-4 as windows of ten letters.

Cut into 170 overlapping windows the sentence loses its beginning: a window starts anywhere, and
from its first letters nobody can tell where. Early positions stay uncertain for any model that
sees the letters of the window so far, and this sets a floor to the loss (0.22849) and a ceiling to
the accuracy (0.8965). With eight letters of context the next one is certain.

It stops at 70 epochs, before the loss has settled on the floor: from there on Adam's steps at this
learning rate are chaotic, and rounding alone drives two runs apart.
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
    """Least cross entropy and best accuracy of any predictor that sees the window so far."""
    following: dict[bytes, Counter] = defaultdict(Counter)
    for window, labels in zip(INPUTS, LABELS, strict=True):
        for t in range(LENGTH):
            following[window[: t + 1].tobytes()][int(labels[t])] += 1
    contexts = following.values()
    entropy = -sum(n * log(n / next_.total()) for next_ in contexts for n in next_.values())
    best = sum(max(next_.values()) for next_ in contexts)
    return entropy / LABELS.size, best / LABELS.size


def reading(ids: np.ndarray) -> np.ndarray:
    """The first window whole, then the last letter of each further one."""
    return np.concatenate([ids[0], ids[1:, -1]])


def explain(model: Model) -> Iterator[str]:
    floor, ceiling = limits()
    loss, metrics = lesson.score(model, lesson.batch())
    yield "What can be known from a window's own letters:"
    yield f"  loss {loss:.5f}, never below {floor:.5f}"
    yield f"  accuracy {metrics['accuracy']:.4f}, never above {ceiling:.4f}"


lesson = Lesson(
    name="long_sentence_windows",
    slide="Exercise 11-4",
    teaches="Windows forget where they stand: a floor of the loss that no model passes.",
    symbols=SYMBOLS,
    inputs=one_hot(INPUTS, len(SYMBOLS)),
    labels=LABELS,
    model=Model,
    epochs=70,
    reading=reading,
    explain=explain,
)
