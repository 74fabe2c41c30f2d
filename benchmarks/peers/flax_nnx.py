"""flax.nnx: nnx.RNN over its cells, batch-major."""

from typing import Any

from flax import nnx

from benchmarks.peers.layout import layer, without_hidden_new_bias
from jax_rnn.bench.contender import JaxContender, Weights, same
from jax_rnn.bench.modules import functional
from jax_rnn.bench.problem import Problem

__all__ = ["flax_nnx"]

CELLS: dict[str, Any] = {
    "RNN": nnx.SimpleCell,
    "LSTM": nnx.OptimizedLSTMCell,
    "GRU": nnx.GRUCell,
}

DIRECTIONS = {"forward_rnn": False, "backward_rnn": True}


def flax_nnx(problem: Problem) -> JaxContender:
    """flax's GRU has no bias on the hidden map; it is compared with this bias set to zero."""
    setting = problem.setting
    rngs = nnx.Rngs(0)

    def one(size: int) -> nnx.RNN:
        return nnx.RNN(CELLS[setting.kind](size, setting.H, rngs=rngs), rngs=rngs)

    def both(size: int) -> Any:
        if not setting.bidirectional:
            return one(size)
        return nnx.Bidirectional(one(size), one(size), rngs=rngs)

    stack = nnx.List([both(setting.input_size(k)) for k in range(setting.layers)])
    paths, with_values = functional(stack)

    def convert(weights: Weights) -> list[Any]:
        return [_value(path, weights, setting.kind) for path in paths]

    def apply(params: list[Any], x: Any, lengths: Any) -> Any:
        for module in with_values(params):
            x = module(x, seq_lengths=lengths)
        return x

    given = without_hidden_new_bias if setting.kind == "GRU" else same
    return JaxContender(problem, apply, convert, given=given, time_major=False)


def _value(path: tuple[Any, ...], weights: Weights, kind: str) -> Any:
    """The value at a path like ``(0, "backward_rnn", "cell", "dense_i", "kernel")``."""
    source = layer(weights, path[0], reverse=DIRECTIONS.get(path[1], False))
    dense, name = path[-2:]
    if name == "kernel":
        return {"dense_i": source.kernel_i, "dense_h": source.kernel_h}[dense]
    return source.bias
