r"""Exercise 11-5: implement the RNN of the slide.

.. math::
    h_t = W f(h_{t-1}) + W^{(hx)} x_t \qquad \hat{y}_t = W^{(S)} f(h_t) \qquad f = \tanh

The slide carries h *before* the nonlinearity. With s = f(h) the first equation reads
s_t = tanh(W s_{t-1} + W_hx x_t): the RNN of torch.nn without biases.
"""

from typing import NamedTuple

import jax.numpy as jnp
from flax import nnx

from jax_rnn.base.typing import Array, Float
from jax_rnn.cells.base import Cell
from jax_rnn.cells.rnn import RNNCell
from jax_rnn.layers.feedforward import Linear
from jax_rnn.layers.recurrent import Recurrent
from jax_rnn.lecture.teaching.lesson import cross_entropy
from jax_rnn.lecture.teaching.parts import over_time
from jax_rnn.lecture.teaching.words import WordLesson
from rnn_lecture import words
from rnn_lecture.recipe import WordRecipe


class PreActivation(NamedTuple):
    """The state before tanh."""

    h: Float[Array, "*batch H"]


class RNNByHandCell(Cell[PreActivation]):
    def __init__(self, size: int, **options):
        self.input_size = self.hidden_size = size
        self.W = Linear(size, size, bias=False, **options)
        self.W_hx = Linear(size, size, bias=False, **options)
        self.W_S = Linear(size, size, bias=False, **options)

    def initialize_carry(self, input_shape, rngs=None, carry_init=None) -> PreActivation:
        dtype = self.W.kernel[...].dtype
        return PreActivation(jnp.zeros((*input_shape[:-1], self.hidden_size), dtype))

    def project(self, x):
        return self.W_hx(x)

    def step(self, carry, x):
        h = self.W(jnp.tanh(carry.h)) + x
        return PreActivation(h), self.W_S(jnp.tanh(h))


class Model(nnx.Module):
    def __init__(self, **options):
        self.cell = RNNByHandCell(5, **options)

    def __call__(self, inputs, hidden=None):
        return over_time(self.cell, inputs, hidden)


def loss(model, batch):
    logits, _ = model(batch["inputs"])
    return cross_entropy(logits, batch["labels"]).mean(), {"prediction": logits.argmax(-1)}


def as_library(model: Model) -> Recurrent:
    """The library's RNN with the same weights and no bias; its outputs are tanh of this state."""
    cell = RNNCell(5, 5, bias=False, rngs=nnx.Rngs(0))
    cell.weight_hh[...] = model.cell.W.kernel[...].T
    cell.weight_ih[...] = model.cell.W_hx.kernel[...].T
    return Recurrent(cell, batch_first=True)


def explain(model):
    inputs = lesson.batch()["inputs"]
    logits, _ = model(inputs)
    s, _ = as_library(model)(inputs)
    gap = jnp.abs(model.cell.W_S(s) - logits).max()
    yield "With s = tanh(h) these are the equations of RNN(bias=False):"
    yield f"  largest difference of the outputs with the same weights: {gap:.1e}"


lesson = WordLesson(
    facts=words.RNN_BY_HAND,
    model=Model,
    loss=loss,
    recipe=WordRecipe(learning_rate=0.1, steps=100),
    explain=explain,
)
