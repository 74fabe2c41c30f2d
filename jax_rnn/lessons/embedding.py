"""Exercise 11-3: RNN + Linear on an embedding. Why does it train faster, and more stably?

At the lecture's learning rate it does not. A fresh embedding is drawn from N(0, 1): ten such
numbers through the input weights push tanh into saturation, where gradients vanish, and more runs
fail than with one-hot letters. Scaled by 1 / sqrt(10), so that an embedded letter is as long as a
one-hot one, most of the loss is made good.
"""

from collections.abc import Iterator
from functools import partial
from math import sqrt

import jax
import jax.numpy as jnp
from flax import nnx

from jax_rnn.feedforward import Embedding, Linear
from jax_rnn.initializers import Init
from jax_rnn.layers import RNN
from jax_rnn.lessons import ihello, rnn_linear
from jax_rnn.lessons.lesson import Lesson

FEATURES = 10
SEEDS = 200


class Model(nnx.Module):
    def __init__(self, scale: float = 1.0, *, init: Init = "torch", rngs: nnx.Rngs):
        self.scale = scale
        self.embedding = Embedding(5, FEATURES, init=init, rngs=rngs)
        self.rnn = RNN(FEATURES, 5, batch_first=True, init=init, rngs=rngs)
        self.linear = Linear(5, 5, init=init, rngs=rngs)

    def __call__(self, inputs, hidden=None):
        outputs, hidden = self.rnn(self.scale * self.embedding(inputs), hidden)
        return self.linear(outputs), hidden


class Direct(nnx.Module):
    """Without the linear layer: tanh outputs as logits."""

    def __init__(self, *, init: Init = "torch", rngs: nnx.Rngs):
        self.embedding = Embedding(5, FEATURES, init=init, rngs=rngs)
        self.rnn = RNN(FEATURES, 5, batch_first=True, init=init, rngs=rngs)

    def __call__(self, inputs, hidden=None):
        return self.rnn(self.embedding(inputs), hidden)


def saturation(scale: float) -> float:
    """Share of |h| > 0.95 before training, over 50 seeds."""

    @jax.jit
    @jax.vmap
    def outputs(seed):
        model = Model(scale, rngs=nnx.Rngs(jax.random.key(seed)))
        return model.rnn(scale * model.embedding(lesson.batch()["inputs"]))[0]

    return float((jnp.abs(outputs(jnp.arange(50))) > 0.95).mean())


def explain(model: Model) -> Iterator[str]:
    yield "Does it train faster? At this learning rate it does not:"
    for title, teller, variant, scale in (
        ("one-hot letters", rnn_linear.lesson, None, None),
        ("embedding, N(0, 1)", lesson, None, 1.0),
        ("embedding / sqrt(10)", lesson, "scaled", 1 / sqrt(FEATURES)),
    ):
        exact = teller.sweep(SEEDS, variant).metrics["exact"]
        saturated = f"{saturation(scale):8.1%} of |h| above 0.95 at the start" if scale else ""
        yield f"  {title:22}{exact[:, -1].sum():4} of {SEEDS} seeds at ihello{saturated}"


lesson = Lesson(
    name="embedding",
    slide="Exercise 11-3",
    teaches="A fresh embedding saturates tanh; scaled to a one-hot letter's length it does not.",
    symbols=ihello.SYMBOLS,
    inputs=ihello.INPUTS,
    labels=ihello.LABELS,
    model=Model,
    variants={
        "direct": Direct,
        "scaled": partial(Model, 1 / sqrt(FEATURES)),
    },
    explain=explain,
)
