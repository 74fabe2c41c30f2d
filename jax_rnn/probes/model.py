"""The model of a probe: one recurrent layer between the simplest input and output."""

from collections.abc import Callable
from typing import Any

import optax
from flax import nnx

from jax_rnn.base.typing import Array
from jax_rnn.layers.feedforward import Embedding, Linear
from jax_rnn.layers.recurrent import Recurrent
from jax_rnn.probes.task import Example, Task

__all__ = ["ProbeModel", "loss", "score"]


class ProbeModel(nnx.Module):
    """An embedding (for numbers, a linear map), layers of one cell, and a linear output.

    Args:
        task: the task, whose inputs and outputs it has.
        build: ``build(input_size, hidden_size, rngs=...)``, the cell.
        hidden_size: features of the embedding and of the cell's state.
        layers: number of layers.
        rngs: source of the initial values.
    """

    def __init__(
        self,
        task: Task,
        build: Callable[..., Any],
        hidden_size: int,
        layers: int = 1,
        *,
        rngs: nnx.Rngs,
    ):
        into = Linear if task.numbers else Embedding
        self.embedding = into(task.inputs, hidden_size, rngs=rngs)
        cells, size = [], hidden_size
        for _ in range(layers):
            cells.append(build(size, hidden_size, rngs=rngs))
            size = cells[-1].output_size
        self.recurrent = Recurrent(*cells, batch_first=True)
        self.output = Linear(size, task.outputs, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        return self.output(self.recurrent(self.embedding(x))[0])


def loss(task: Task, model: Any, example: Example) -> Array:
    """Mean cross entropy, or mean squared error, over the weighted positions."""
    return _mean(_errors(task, model(example.x), example.y), example.weight)


def score(task: Task, model: Any, example: Example) -> Array:
    """Share of right symbols, or mean squared error, over the scored positions."""
    outputs = model(example.x)
    if task.numbers:
        return _mean(_errors(task, outputs, example.y), example.scored)
    return _mean((outputs.argmax(-1) == example.y).astype(outputs.dtype), example.scored)


def _errors(task: Task, outputs: Array, y: Array) -> Array:
    if task.numbers:
        return (outputs[..., 0] - y) ** 2
    return optax.softmax_cross_entropy_with_integer_labels(outputs, y)


def _mean(values: Array, weight: Array) -> Array:
    return (values * weight).sum() / weight.sum()
