"""Train an RNN to read hihell and predict ihello.

Slide "Teach RNN 'hihell' to 'ihello'": predict the next letter at every step. The current letter is
not enough: h is followed by i, then by e; l by l, then by o, so the RNN needs memory. Its tanh
outputs are the logits, five numbers in [-1, 1], so the loss cannot fall below log(1 + 4 e^-2) =
0.43265.
"""

from collections.abc import Iterator
from functools import partial

from flax import nnx

from jax_rnn.base.initializers import Init
from jax_rnn.lecture.teaching.models import LAYERS
from jax_rnn.lecture.teaching.words import WordLesson
from rnn_lecture import words

SEEDS = 200


class Model(nnx.Module):
    def __init__(self, cell: str = "rnn", *, init: Init = "torch", rngs: nnx.Rngs):
        self.rnn = LAYERS[cell](5, 5, batch_first=True, init=init, rngs=rngs)

    def __call__(self, inputs, hidden=None):
        return self.rnn(inputs, hidden)


def explain(model: Model) -> Iterator[str]:
    yield f"Logits in [-1, 1] keep the loss above log(1 + 4 e^-2) = {words.TANH_BOUND:.5f}."
    exact = lesson.sweep(SEEDS).metrics["exact"]
    reached = exact[:, -1].sum()
    yield f"The result depends on the seed: {reached} of {SEEDS} seeds end at {lesson.target}."


lesson = WordLesson.of(
    words.IHELLO,
    model=Model,
    variants={"lstm": partial(Model, cell="lstm"), "gru": partial(Model, cell="gru")},
    explain=explain,
)
