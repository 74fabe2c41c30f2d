"""A user-defined cell: the textbook LSTM, gate by gate, in several libraries."""

from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax.nn import sigmoid

from jax_rnn.bench.contender import JaxContender, Weights
from jax_rnn.bench.modules import functional
from jax_rnn.bench.ours import ours
from jax_rnn.bench.problem import Problem
from jax_rnn.bench.pytorch import TorchContender
from jax_rnn.cells.gated import GatedCell
from jax_rnn.cells.lstm import LSTMCarry
from jax_rnn.layers.recurrent import Recurrent

__all__ = ["TextbookLSTMCell", "custom", "custom_in_flax", "custom_in_torch"]


class TextbookLSTMCell(GatedCell[LSTMCarry]):
    """The equations of the textbook."""

    gates = ("i", "f", "g", "o")

    def update(self, gates: Any, carry: LSTMCarry) -> tuple[LSTMCarry, Any]:
        i, f, o = sigmoid(gates.i), sigmoid(gates.f), sigmoid(gates.o)
        c = f * carry.c + i * jnp.tanh(gates.g)
        h = o * jnp.tanh(c)
        return LSTMCarry(h, c), h


def build(problem: Problem) -> TextbookLSTMCell:
    setting = problem.setting
    assert setting.kind == "LSTM" and setting.custom, "the custom cell is an LSTM"
    return TextbookLSTMCell(setting.I, setting.H, dtype=setting.dtype, rngs=nnx.Rngs(0))


def custom(problem: Problem) -> JaxContender:
    """The cell in a layer of jax_rnn."""
    return ours(problem, Recurrent(build(problem)))


def custom_in_flax(problem: Problem) -> JaxContender:
    """The same cell in ``nnx.RNN``."""
    layer = nnx.RNN(build(problem), time_major=True)  # type: ignore[arg-type]
    paths, with_values = functional(layer)

    def convert(weights: Weights) -> list[Any]:
        return [weights[f"{path[-1]}_l0"] for path in paths]

    def apply(params: list[Any], x: Any, lengths: Any) -> Any:
        return with_values(params)(x)

    return JaxContender(problem, apply, convert)


def custom_in_torch(problem: Problem, device: str = "cpu") -> TorchContender:
    """The version in torch: a Python loop over all steps, the input projected before it."""
    import torch
    from torch.nn import functional as F

    class Loop(torch.nn.LSTM):
        def forward(self, x: Any) -> Any:
            weights: Any = self
            projected = F.linear(x, weights.weight_ih_l0, weights.bias_ih_l0)
            h = c = torch.zeros(x.shape[1], self.hidden_size, dtype=x.dtype, device=x.device)
            outputs = []
            for step in projected:
                gates = step + F.linear(h, weights.weight_hh_l0, weights.bias_hh_l0)
                i, f, g, o = gates.chunk(4, -1)
                c = f.sigmoid() * c + i.sigmoid() * g.tanh()
                h = o.sigmoid() * c.tanh()
                outputs.append(h)
            return torch.stack(outputs), None

    return TorchContender(problem, Loop(problem.setting.I, problem.setting.H), device)
