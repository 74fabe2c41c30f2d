r"""Slide "Under the hood: LSTM", gate by gate.

.. math::
    i &= \sigma(W_{ii} x + b_{ii} + W_{hi} h + b_{hi}) \\
    f &= \sigma(W_{if} x + b_{if} + W_{hf} h + b_{hf}) \\
    g &= \tanh(W_{ig} x + b_{ig} + W_{hg} h + b_{hg}) \\
    o &= \sigma(W_{io} x + b_{io} + W_{ho} h + b_{ho}) \\
    c' &= f c + i g \qquad h' = o \tanh(c')

The slide of this title prints the equations of a GRU, with z in the role of 1 - z.
"""

import jax.numpy as jnp
from flax import nnx
from jax.nn import sigmoid

from jax_rnn.base.initializers import Init, resolve
from jax_rnn.base.typing import default_float
from jax_rnn.cells.base import Cell
from jax_rnn.cells.lstm import LSTMCarry, LSTMCell
from jax_rnn.layers.feedforward import Linear
from jax_rnn.layers.recurrent import Recurrent
from jax_rnn.lecture.teaching.lesson import cross_entropy
from jax_rnn.lecture.teaching.parts import CellAndLinear
from jax_rnn.lecture.teaching.words import WordLesson
from rnn_lecture import words
from rnn_lecture.recipe import WordRecipe


class LSTMByHandCell(Cell[LSTMCarry]):
    def __init__(self, size: int, *, init: Init = "torch", rngs: nnx.Rngs):
        scheme, dtype = resolve(init), default_float()
        self.input_size = self.hidden_size = size
        self.weight_ih = nnx.Param(scheme.weight_ih(rngs.params(), 4, size, size, dtype))
        self.weight_hh = nnx.Param(scheme.weight_hh(rngs.params(), 4, size, size, dtype))
        self.bias_ih = nnx.Param(scheme.bias(rngs.params(), 4, size, size, dtype))
        self.bias_hh = nnx.Param(scheme.bias(rngs.params(), 4, size, size, dtype))

    def initialize_carry(self, input_shape, rngs=None, carry_init=None) -> LSTMCarry:
        zeros = jnp.zeros((*input_shape[:-1], self.hidden_size), self.weight_hh[...].dtype)
        return LSTMCarry(zeros, zeros)

    def step(self, carry, x):
        h, c = carry
        W_ii, W_if, W_ig, W_io = jnp.split(self.weight_ih[...], 4)
        W_hi, W_hf, W_hg, W_ho = jnp.split(self.weight_hh[...], 4)
        b_ii, b_if, b_ig, b_io = jnp.split(self.bias_ih[...], 4)
        b_hi, b_hf, b_hg, b_ho = jnp.split(self.bias_hh[...], 4)
        i = sigmoid(x @ W_ii.T + b_ii + h @ W_hi.T + b_hi)
        f = sigmoid(x @ W_if.T + b_if + h @ W_hf.T + b_hf)
        g = jnp.tanh(x @ W_ig.T + b_ig + h @ W_hg.T + b_hg)
        o = sigmoid(x @ W_io.T + b_io + h @ W_ho.T + b_ho)
        c = f * c + i * g
        h = o * jnp.tanh(c)
        return LSTMCarry(h, c), h


class Model(CellAndLinear):
    def __init__(self, **options):
        self.cell = LSTMByHandCell(5, **options)
        self.linear = Linear(5, 5, **options)


def loss(model, batch):
    logits, _ = model(batch["inputs"])
    return cross_entropy(logits, batch["labels"]).mean(), {"prediction": logits.argmax(-1)}


def as_library(model: Model) -> Recurrent:
    """The library's LSTM with the same weights."""
    cell = LSTMCell(5, 5, rngs=nnx.Rngs(0))
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        getattr(cell, name)[...] = getattr(model.cell, name)[...]
    return Recurrent(cell, batch_first=True)


def explain(model):
    inputs = lesson.batch()["inputs"]
    gap = jnp.abs(model.states(inputs)[0] - as_library(model)(inputs)[0]).max()
    yield "Computed gate by gate, it equals the library's LSTM:"
    yield f"  largest difference of the states with the same weights: {gap:.1e}"


lesson = WordLesson(
    facts=words.LSTM_BY_HAND,
    model=Model,
    loss=loss,
    recipe=WordRecipe(learning_rate=0.1, steps=100),
    explain=explain,
)
