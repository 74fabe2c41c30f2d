"""ihello in flax.linen, as a side of a comparison: a third framework in one file.

Linen has one bias per gate where torch has two, so the parameters are torch's, and their sum is
what linen's cell gets.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.tree_util import Partial

from jax_rnn.base.typing import default_float
from jax_rnn.lecture.compare.side import LessonSide, Setup, Step
from jax_rnn.testing.jax_side import JaxSide
from rnn_lecture.words import IHELLO

CELLS = {"": nn.SimpleCell, "lstm": nn.LSTMCell, "gru": nn.GRUCell}
GATES = {"": ("",), "lstm": ("i", "f", "g", "o"), "gru": ("r", "z", "n")}
SIZE = 5


def linen_cell(weights: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Parameters of linen's cell, from torch's."""
    gates = GATES[kind]
    rows = {name: jnp.split(value, len(gates)) for name, value in weights.items()}
    cell = {}
    for k, gate in enumerate(gates):
        b_i, b_h = rows["rnn.bias_ih_l0"][k], rows["rnn.bias_hh_l0"][k]
        cell[f"i{gate}"] = {"kernel": rows["rnn.weight_ih_l0"][k].T}
        cell[f"h{gate}"] = {"kernel": rows["rnn.weight_hh_l0"][k].T}
        if gate == "n":
            cell["in"]["bias"], cell["hn"]["bias"] = b_i, b_h
        else:
            cell[f"h{gate}" if kind == "lstm" else f"i{gate}"]["bias"] = b_i + b_h
    return cell


def forward(kind: str, weights: Mapping[str, Any], inputs: Any, hidden: Any = None) -> Any:
    """Outputs (B, T, H), and the state in the form of torch."""
    rnn = nn.RNN(CELLS[kind](SIZE, param_dtype=inputs.dtype), return_carry=True)
    carry, outputs = rnn.apply({"params": {"cell": linen_cell(weights, kind)}}, inputs)
    states = carry[::-1] if kind == "lstm" else (carry,)
    return outputs, tuple(state[None] for state in states)


class LinenSide(JaxSide, LessonSide):
    """The lesson ihello and its variants with linen's own cells."""

    framework, title = "flax.linen", "linen"

    def __init__(self, setup: Setup):
        kind = setup.recipe.variant
        self.setup, self.seconds, self.apply = setup, {}, partial(forward, kind)
        rows = len(GATES[kind]) * SIZE
        shapes = {"weight_ih": (rows, SIZE), "weight_hh": (rows, SIZE)}
        shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
        zeros = {f"rnn.{k}_l0": jnp.zeros(shape, default_float()) for k, shape in shapes.items()}
        super().__init__(Partial(self.apply, zeros), (IHELLO.inputs, None))

    def named(self, tree: Any) -> dict[str, np.ndarray]:
        return {name: np.asarray(value) for name, value in tree.args[0].items()}

    def load(self, weights: Mapping[str, np.ndarray]) -> None:
        arrays = {k: jnp.asarray(value, default_float()) for k, value in weights.items()}
        self.module = Partial(self.apply, arrays)

    def loss(self, module: Any) -> tuple[Any, Any]:
        logits = module(*self.arguments)[0]
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, IHELLO.labels)
        return losses.mean(), logits.argmax(-1)

    def loss_gradients(self) -> dict[str, np.ndarray]:
        return self.named(jax.grad(self.loss, has_aux=True)(self.module)[0])

    def train(self, steps: int) -> Iterator[Step]:
        optimizer = optax.adam(self.setup.recipe.learning_rate)
        state = optimizer.init(self.module)
        gradient = jax.jit(jax.value_and_grad(self.loss, has_aux=True))
        for _ in range(steps):
            (loss, ids), gradients = gradient(self.module)
            updates, state = optimizer.update(gradients, state)
            self.module = optax.apply_updates(self.module, updates)
            yield Step(float(loss), IHELLO.text(ids))

    def evaluate(self) -> dict[str, float]:
        return {}
