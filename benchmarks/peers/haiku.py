"""dm-haiku: dynamic_unroll of its cores, time-major."""

from importlib import import_module
from typing import Any

import jax.numpy as jnp

from benchmarks.peers.layout import layer, reorder
from jax_rnn.bench.contender import JaxContender, NotOfferedError, Weights
from jax_rnn.bench.problem import Problem

__all__ = ["haiku"]

NOTES = {
    "RNN": "relu in place of tanh",
    "GRU": "resets before the product",
    "LSTM": "",
}


def haiku(problem: Problem) -> JaxContender:
    """haiku's LSTM adds 1 to the forget gate, subtracted from the bias here; the others differ."""
    hk: Any = import_module("haiku")
    setting = problem.setting
    if not setting.plain:
        raise NotOfferedError("it has no lengths and no layers of two directions")
    core = {"RNN": hk.VanillaRNN, "LSTM": hk.LSTM, "GRU": hk.GRU}[setting.kind]

    def run(x: Any) -> Any:
        cell = core(setting.H)
        return hk.dynamic_unroll(cell, x, cell.initial_state(setting.B))[0]

    pure = hk.without_apply_rng(hk.transform(run))

    def convert(weights: Weights) -> dict[str, Any]:
        source = layer(weights)
        if setting.kind == "RNN":
            i = {"w": source.kernel_i, "b": source.bias_i}
            return {
                "vanilla_rnn/linear": i,
                "vanilla_rnn/linear_1": {"w": source.kernel_h, "b": source.bias_h},
            }
        if setting.kind == "GRU":
            order = (1, 0, 2)  # z r a
            values = {"w_i": source.kernel_i, "w_h": source.kernel_h, "b": source.bias}
            return {"gru": {name: reorder(value, order) for name, value in values.items()}}
        order = (0, 2, 1, 3)  # i g f o
        kernel = jnp.concatenate([source.kernel_i, source.kernel_h])
        forget = jnp.repeat(jnp.array([0.0, 0.0, 1.0, 0.0]), setting.H)
        return {
            "lstm/linear": {
                "w": reorder(kernel, order),
                "b": reorder(source.bias, order) - forget,
            }
        }

    def apply(params: Any, x: Any, lengths: Any) -> Any:
        return pure.apply(params, x)

    return JaxContender(problem, apply, convert, note=NOTES[setting.kind])
