"""Train an RNN to read hihell and predict ihello.

Slide "Teach RNN 'hihell' to 'ihello'": predict the next letter at every step. The current letter is
not enough: h is followed by i, then by e; l by l, then by o, so the RNN needs memory. Its tanh
outputs are the logits, five numbers in [-1, 1], so the loss cannot fall below log(1 + 4 e^-2) =
0.43265.
"""

from functools import partial

from flax import nnx

from jax_rnn.lecture.teaching.lesson import cross_entropy
from jax_rnn.lecture.teaching.parts import LAYERS
from jax_rnn.lecture.teaching.words import WordLesson
from rnn_lecture import words
from rnn_lecture.recipe import WordRecipe

SEEDS = 200


class Model(nnx.Module):
    def __init__(self, cell: str = "rnn", **options):
        self.rnn = LAYERS[cell](5, 5, batch_first=True, **options)

    def __call__(self, inputs, hidden=None):
        return self.rnn(inputs, hidden)


def loss(model, batch):
    logits, _ = model(batch["inputs"])
    return cross_entropy(logits, batch["labels"]).mean(), {"prediction": logits.argmax(-1)}


def explain(model):
    yield f"Logits in [-1, 1] keep the loss above log(1 + 4 e^-2) = {words.TANH_BOUND:.5f}."
    reached = lesson.sweep(SEEDS).metrics["exact"][:, -1].sum()
    yield f"The result depends on the seed: {reached} of {SEEDS} seeds predict ihello at the end."


lesson = WordLesson(
    facts=words.IHELLO,
    model=Model,
    loss=loss,
    recipe=WordRecipe(learning_rate=0.1, steps=100),
    variants={"lstm": partial(Model, cell="lstm"), "gru": partial(Model, cell="gru")},
    explain=explain,
)
