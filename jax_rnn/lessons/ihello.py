"""Train an RNN to read hihell and predict ihello.

Slide "Teach RNN 'hihell' to 'ihello'": predict the next letter at every step. The current letter is
not enough: h is followed by i, then by e; l by l, then by o, so the RNN needs memory. Its tanh
outputs are the logits, five numbers in [-1, 1], so the loss cannot fall below log(1 + 4 e^-2) =
0.43265.
"""

import math
from collections.abc import Callable, Iterator
from functools import partial

from flax import nnx

from jax_rnn.initializers import Init
from jax_rnn.layers import GRU, LSTM, RNN
from jax_rnn.lessons.lesson import Lesson, encode, one_hot
from jax_rnn.recurrent import Recurrent

SYMBOLS = "hielo"
INPUTS = encode("hihell", SYMBOLS)[None]
LABELS = encode("ihello", SYMBOLS)[None]
BOUND = math.log(1 + 4 * math.exp(-2))
"""Lower bound of the loss for logits in [-1, 1]."""
SEEDS = 200


class Model(nnx.Module):
    def __init__(
        self, layer: Callable[..., Recurrent] = RNN, *, init: Init = "torch", rngs: nnx.Rngs
    ):
        # Unrolling is faster than a loop for six tiny steps.
        self.rnn = layer(5, 5, batch_first=True, init=init, rngs=rngs)

    def __call__(self, inputs, hidden=None):
        return self.rnn(inputs, hidden)


def explain(model: Model) -> Iterator[str]:
    yield f"Logits in [-1, 1] keep the loss above log(1 + 4 e^-2) = {BOUND:.5f}."
    exact = lesson.sweep(SEEDS).metrics["exact"]
    reached = exact[:, -1].sum()
    yield f"The result depends on the seed: {reached} of {SEEDS} seeds end at {lesson.target}."


lesson = Lesson(
    name="ihello",
    slide="Teach RNN 'hihell' to 'ihello'",
    teaches="A recurrent network predicts the next letter from the letters before.",
    symbols=SYMBOLS,
    inputs=one_hot(INPUTS, len(SYMBOLS)),
    labels=LABELS,
    model=Model,
    variants={
        "lstm": partial(Model, LSTM),
        "gru": partial(Model, GRU),
    },
    explain=explain,
)
