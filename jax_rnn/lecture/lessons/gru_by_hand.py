r"""Exercise 11-6: implement the GRU of the slide.

.. math::
    z &= \sigma(x_t U^z + s_{t-1} W^z) \\
    r &= \sigma(x_t U^r + s_{t-1} W^r) \\
    h &= \tanh(x_t U^h + (s_{t-1} \circ r) W^h) \\
    s_t &= (1 - z) \circ h + z \circ s_{t-1}

The update gate z has the same meaning as in torch.nn. The reset gate differs: here it scales the
state *before* the product with W^h, in torch.nn after it. No choice of weights makes the two
equal, except if nothing is reset (r = 1).
"""

import jax.numpy as jnp
from flax import nnx
from jax.nn import sigmoid

from jax_rnn.cells.base import Cell, HiddenCarry
from jax_rnn.cells.gru import GRUCell
from jax_rnn.layers.feedforward import Linear
from jax_rnn.layers.recurrent import Recurrent
from jax_rnn.lecture.teaching.lesson import cross_entropy
from jax_rnn.lecture.teaching.parts import CellAndLinear
from jax_rnn.lecture.teaching.words import WordLesson
from rnn_lecture import words
from rnn_lecture.recipe import WordRecipe


class GRUByHandCell(Cell[HiddenCarry]):
    def __init__(self, size: int, **options):
        def linear() -> Linear:
            return Linear(size, size, bias=False, **options)

        self.input_size = self.hidden_size = size
        self.U_z, self.W_z = linear(), linear()
        self.U_r, self.W_r = linear(), linear()
        self.U_h, self.W_h = linear(), linear()

    def initialize_carry(self, input_shape, rngs=None, carry_init=None) -> HiddenCarry:
        dtype = self.W_h.kernel[...].dtype
        return HiddenCarry(jnp.zeros((*input_shape[:-1], self.hidden_size), dtype))

    def project(self, x):
        return self.U_z(x), self.U_r(x), self.U_h(x)

    def step(self, carry, x):
        x_z, x_r, x_h = x
        s = carry.h
        z = sigmoid(x_z + self.W_z(s))
        r = sigmoid(x_r + self.W_r(s))
        h = jnp.tanh(x_h + self.W_h(s * r))
        s = (1 - z) * h + z * s
        return HiddenCarry(s), s


class Model(CellAndLinear):
    def __init__(self, **options):
        self.cell = GRUByHandCell(5, **options)
        self.linear = Linear(5, 5, **options)


def loss(model, batch):
    logits, _ = model(batch["inputs"])
    return cross_entropy(logits, batch["labels"]).mean(), {"prediction": logits.argmax(-1)}


def as_library(model: Model) -> Recurrent:
    """The library's GRU with the same weights and no bias."""
    ours, cell = model.cell, GRUCell(5, 5, bias=False, rngs=nnx.Rngs(0))

    def rows(r: Linear, z: Linear, n: Linear):
        return jnp.concatenate([linear.kernel[...].T for linear in (r, z, n)])

    cell.weight_ih[...] = rows(ours.U_r, ours.U_z, ours.U_h)
    cell.weight_hh[...] = rows(ours.W_r, ours.W_z, ours.W_h)
    return Recurrent(cell, batch_first=True)


def never_reset(model: Model) -> Model:
    """The same model with r = 1: every letter adds 40 to the reset gate, the state adds nothing."""
    model = nnx.clone(model)
    model.cell.U_r.kernel[...] = jnp.full_like(model.cell.U_r.kernel[...], 40)
    model.cell.W_r.kernel[...] = jnp.zeros_like(model.cell.W_r.kernel[...])
    return model


def explain(model):
    inputs = lesson.batch()["inputs"]
    yield "Is it the library's GRU? Only if nothing is reset. Largest difference of the states with"
    yield "the same weights:"
    for title, m in (("as trained", model), ("nothing reset (r = 1)", never_reset(model))):
        gap = jnp.abs(m.states(inputs)[0] - as_library(m)(inputs)[0]).max()
        yield f"  {title:24}{gap:.1e}"


lesson = WordLesson(
    facts=words.GRU_BY_HAND,
    model=Model,
    loss=loss,
    recipe=WordRecipe(learning_rate=0.1, steps=100),
    explain=explain,
)
