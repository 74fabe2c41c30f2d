"""A user-defined cell, the minimal gated unit: check it, stack it, mask it and train it.

    f_t = sigma(W_if x_t + b_if + W_hf h_{t-1} + b_hf)
    n_t = tanh(W_in x_t + b_in + f_t (W_hn h_{t-1} + b_hn))
    h_t = (1 - f_t) h_{t-1} + f_t n_t

Source: J. Heck and F. Salem, "Simplified minimal gated unit variations for recurrent neural
networks", 2017.
"""

import jax
import jax.numpy as jnp
from flax import nnx
from jax.nn import sigmoid

from jax_rnn import GatedCell, HiddenCarry, Linear, Recurrent
from jax_rnn.lecture.lessons import load
from jax_rnn.testing import check_cell


class MGUCell(GatedCell[HiddenCarry]):
    gates = ("f", "n")
    separate = ("n",)

    def update(self, gates, carry):
        f = sigmoid(gates.f)
        n = jnp.tanh(gates.n.x + f * gates.n.h)
        h = (1 - f) * carry.h + f * n
        return HiddenCarry(h), h


class Model(nnx.Module):
    def __init__(self, rngs: nnx.Rngs):
        first, second = MGUCell(5, 8, rngs=rngs), MGUCell(8, 8, rngs=rngs)
        self.rnn = Recurrent(first, second, batch_first=True)
        self.linear = Linear(8, 5, rngs=rngs)

    def __call__(self, inputs, hidden=None):
        outputs, hidden = self.rnn(inputs, hidden)
        return self.linear(outputs), hidden


print("checks passed:", ", ".join(check_cell(MGUCell(3, 4, rngs=nnx.Rngs(0)))))

# Every option of RNN, LSTM and GRU works for any cell: two bidirectional layers with dropout
# between them, sequences of different lengths, and a given initial state.
rngs = nnx.Rngs(0)
layers = Recurrent(
    (MGUCell(3, 4, rngs=rngs), MGUCell(3, 4, rngs=rngs)),
    (MGUCell(8, 4, rngs=rngs), MGUCell(8, 4, rngs=rngs)),
    dropout=0.5,
)
x = jax.random.normal(jax.random.key(0), (7, 2, 3))  # (T, B, I)
hx = jnp.ones((4, 2, 4))  # (layers * directions, B, H)
output, h_n = layers(x, hx, lengths=[7, 5], rngs=nnx.Rngs(dropout=0))
print(
    "output",
    output.shape,
    "state",
    jax.tree.map(jnp.shape, h_n),
    "after the end",
    output[5:, 1].any(),
)

lesson = load("ihello")
history = lesson.fit(Model(nnx.Rngs(0)))
for epoch in (1, 10, 20, 50, 100):
    text = lesson.facts.text(history.metrics["prediction"][epoch - 1])
    print(f"epoch: {epoch}, loss: {history.loss[epoch - 1]:1.3f}, predicted string: {text}")
