"""Exercise 11-3: RNN + Linear on an embedding. Why does it train faster and more stably?

At the lecture's learning rate it does not. An embedding is initialized from N(0, 1), so the vector
of a letter has a norm of about sqrt(10) instead of 1. The first steps of Adam saturate tanh, where
gradients vanish, and more runs fail than with one-hot letters. Scaled by 1 / sqrt(10), to the norm
of a one-hot vector, it hardly saturates, and nearly as many runs succeed as with one-hot letters.
"""

from functools import partial
from math import sqrt

import jax.numpy as jnp
from flax import nnx

from jax_rnn.layers.feedforward import Embedding, Linear
from jax_rnn.layers.torch_layers import RNN
from jax_rnn.lecture.lessons import rnn_linear
from jax_rnn.lecture.teaching.lesson import cross_entropy, optimizer
from jax_rnn.lecture.teaching.words import WordLesson
from jax_rnn.train.seeds import fit_seeds
from rnn_lecture import words
from rnn_lecture.recipe import WordRecipe

FEATURES = 10
SEEDS = 200


class Model(nnx.Module):
    def __init__(self, scale: float = 1.0, **options):
        self.scale = scale
        self.embedding = Embedding(5, FEATURES, **options)
        self.rnn = RNN(FEATURES, 5, batch_first=True, **options)
        self.linear = Linear(5, 5, **options)

    def __call__(self, inputs, hidden=None):
        outputs, hidden = self.rnn(self.scale * self.embedding(inputs), hidden)
        return self.linear(outputs), hidden


class Direct(nnx.Module):
    """The model without the linear layer: tanh outputs are the logits."""

    def __init__(self, **options):
        self.embedding = Embedding(5, FEATURES, **options)
        self.rnn = RNN(FEATURES, 5, batch_first=True, **options)

    def __call__(self, inputs, hidden=None):
        return self.rnn(self.embedding(inputs), hidden)


def loss(model, batch):
    logits, _ = model(batch["inputs"])
    return cross_entropy(logits, batch["labels"]).mean(), {"prediction": logits.argmax(-1)}


def saturation(scale: float) -> tuple[float, float]:
    """Share of |h| > 0.95 over 50 seeds, before training and after five epochs."""

    def with_share(model: Model, batch):
        h, _ = model.rnn(scale * model.embedding(batch["inputs"]))
        return loss(model, batch)[0], (jnp.abs(h) > 0.95).mean()

    history = fit_seeds(
        lambda rngs: Model(scale, rngs=rngs),
        with_share,
        lesson.batch(),
        seeds=range(50),
        steps=6,
        optimizer=optimizer(lesson.recipe),
    )
    at_first, *_, after_five = history.metrics.mean(0)
    return float(at_first), float(after_five)


def explain(model):
    yield "Does it train faster? Not at this learning rate. Runs that predict ihello at the end:"
    for title, compared, variant, scale in (
        ("one-hot letters", rnn_linear.lesson, None, None),
        ("embedding, N(0, 1)", lesson, None, 1.0),
        ("embedding / sqrt(10)", lesson, "scaled", 1 / sqrt(FEATURES)),
    ):
        exact = compared.sweep(SEEDS, variant).metrics["exact"]
        yield f"  {title:22}{exact[:, -1].sum():4} of {SEEDS} seeds"
        if scale:
            first, soon = saturation(scale)
            yield f"  {'':22} |h| > 0.95: {first:.0%} before training, {soon:.0%} after 5 epochs"


lesson = WordLesson(
    facts=words.EMBEDDING,
    model=Model,
    loss=loss,
    recipe=WordRecipe(learning_rate=0.1, steps=100),
    variants={"direct": Direct, "scaled": partial(Model, scale=1 / sqrt(FEATURES))},
    explain=explain,
)
