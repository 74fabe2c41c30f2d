"""Exercise 11-4 as windows of ten letters.

The sentence is split into 170 overlapping windows. The first letters of a window do not determine
its position in the sentence, so the next letter is uncertain for any model that sees only the
letters of the window so far. This bounds the loss from below (0.22849) and the accuracy from above
(0.8965). After eight letters the next one is determined.

Training stops at 70 epochs, before the loss has converged: after that, Adam's steps at this
learning rate are chaotic, and two runs diverge by rounding alone.
"""

from flax import nnx

from jax_rnn.layers.feedforward import Linear
from jax_rnn.layers.torch_layers import LSTM
from jax_rnn.lecture.teaching.lesson import cross_entropy
from jax_rnn.lecture.teaching.words import WordLesson
from rnn_lecture import words
from rnn_lecture.recipe import WordRecipe


class Model(nnx.Module):
    def __init__(self, **options):
        self.lstm = LSTM(25, 25, num_layers=2, batch_first=True, **options)
        self.linear = Linear(25, 25, **options)

    def __call__(self, inputs, hidden=None):
        outputs, hidden = self.lstm(inputs, hidden)
        return self.linear(outputs), hidden


def loss(model, batch):
    logits, _ = model(batch["inputs"])
    return cross_entropy(logits, batch["labels"]).mean(), {"prediction": logits.argmax(-1)}


def explain(model):
    floor, ceiling = words.window_bounds()
    found, metrics = lesson.score(model, lesson.batch())
    yield "This model, and the bounds for any model that reads only the window so far:"
    yield f"  loss {found:.5f} (lower bound {floor:.5f})"
    yield f"  accuracy {metrics['accuracy']:.4f} (upper bound {ceiling:.4f})"


lesson = WordLesson(
    facts=words.LONG_SENTENCE_WINDOWS,
    model=Model,
    loss=loss,
    recipe=WordRecipe(learning_rate=0.1, steps=70),
    explain=explain,
)
