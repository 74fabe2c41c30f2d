"""Exercise 11-2: RNN + Linear. Why does it train faster and more stably?

With the linear layer the logits are not limited to [-1, 1]. If the tanh outputs are the logits, the
loss stays above log(1 + 4 e^-2) = 0.43265 and the margins between letters stay small, so many runs
lose the string again. The control experiment shows that the scale matters and not the extra
weights: with logits k * h and no linear layer, k = 3 and k = 5 succeed nearly as often.
"""

from functools import partial

from flax import nnx

from jax_rnn.layers.feedforward import Linear
from jax_rnn.layers.torch_layers import RNN
from jax_rnn.lecture.teaching.lesson import cross_entropy
from jax_rnn.lecture.teaching.parts import LAYERS
from jax_rnn.lecture.teaching.words import WordLesson
from rnn_lecture import words
from rnn_lecture.recipe import WordRecipe

SEEDS = 200


class Model(nnx.Module):
    def __init__(self, cell: str = "rnn", **options):
        self.rnn = LAYERS[cell](5, 5, batch_first=True, **options)
        self.linear = Linear(5, 5, **options)

    def __call__(self, inputs, hidden=None):
        outputs, hidden = self.rnn(inputs, hidden)
        return self.linear(outputs), hidden


class Scaled(nnx.Module):
    """The control experiment: no linear layer, logits k * h."""

    def __init__(self, k: float, **options):
        self.k = k
        self.rnn = RNN(5, 5, batch_first=True, **options)

    def __call__(self, inputs, hidden=None):
        outputs, hidden = self.rnn(inputs, hidden)
        return self.k * outputs, hidden


def loss(model, batch):
    logits, _ = model(batch["inputs"])
    return cross_entropy(logits, batch["labels"]).mean(), {"prediction": logits.argmax(-1)}


def explain(model):
    found, _ = loss(model, lesson.batch())
    yield "Why is it more stable? Its logits are not bounded:"
    bound = f"log(1 + 4 e^-2) = {words.TANH_BOUND:.5f}"
    yield f"  loss {found:.5f}; with logits in [-1, 1] it is at least {bound}"
    yield f"Runs that predict ihello after {lesson.recipe.steps} epochs, of {SEEDS} seeds:"
    for variant, title in (
        ("scale1", "logits = h, the slide's RNN"),
        ("scale3", "logits = 3 h"),
        ("scale5", "logits = 5 h"),
        (None, "logits = W h + b, this lesson"),
    ):
        exact = lesson.sweep(SEEDS, variant).metrics["exact"]
        yield f"  {title:32}{exact[:, -1].sum():4}"


lesson = WordLesson(
    facts=words.RNN_LINEAR,
    model=Model,
    loss=loss,
    recipe=WordRecipe(learning_rate=0.1, steps=100),
    variants={
        "lstm": partial(Model, cell="lstm"),
        "gru": partial(Model, cell="gru"),
        "scale1": partial(Scaled, k=1.0),
        "scale3": partial(Scaled, k=3.0),
        "scale5": partial(Scaled, k=5.0),
    },
    explain=explain,
)
