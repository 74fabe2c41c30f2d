"""flax.linen: nn.RNN over its cells, batch-major."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from benchmarks.peers.layout import Layer, layer
from jax_rnn.bench.contender import JaxContender, Weights
from jax_rnn.bench.problem import Problem

__all__ = ["flax_linen"]

CELLS: dict[str, Any] = {"RNN": nn.SimpleCell, "LSTM": nn.OptimizedLSTMCell, "GRU": nn.GRUCell}


def flax_linen(problem: Problem) -> JaxContender:
    setting = problem.setting

    def one(name: str | None = None) -> nn.RNN:
        return nn.RNN(CELLS[setting.kind](setting.H), name=name)

    modules = [
        nn.Bidirectional(one(), one()) if setting.bidirectional else one()
        for _ in range(setting.layers)
    ]

    def convert(weights: Weights) -> list[Any]:
        found = []
        for k in range(setting.layers):
            forward = {"cell": _cell(layer(weights, k), setting.kind)}
            if setting.bidirectional:
                backward = {"cell": _cell(layer(weights, k, reverse=True), setting.kind)}
                forward = {"forward_rnn": forward, "backward_rnn": backward}
            found.append(forward)
        return found

    def apply(params: list[Any], x: Any, lengths: Any) -> Any:
        for module, values in zip(modules, params, strict=True):
            x = module.apply({"params": values}, x, seq_lengths=lengths)
        return x

    return JaxContender(problem, apply, convert, time_major=False)


def _cell(source: Layer, kind: str) -> dict[str, Any]:
    """Dense layers by gate; of two that are added, only one has a bias."""
    if kind == "RNN":
        i = {"kernel": source.kernel_i, "bias": source.bias}
        return {"i": i, "h": {"kernel": source.kernel_h}}
    letters = "ifgo" if kind == "LSTM" else "rzn"

    def by_gate(x: Any) -> dict[str, Any]:
        return dict(zip(letters, jnp.split(x, len(letters), axis=-1), strict=True))

    kernel_i, kernel_h = by_gate(source.kernel_i), by_gate(source.kernel_h)
    bias_i, bias_h = by_gate(source.bias_i), by_gate(source.bias_h)
    found: dict[str, Any] = {}
    for gate in letters:
        i, h = {"kernel": kernel_i[gate]}, {"kernel": kernel_h[gate]}
        if gate == "n":
            i["bias"], h["bias"] = bias_i[gate], bias_h[gate]
        else:
            (h if kind == "LSTM" else i)["bias"] = bias_i[gate] + bias_h[gate]
        found |= {f"i{gate}": i, f"h{gate}": h}
    return found
