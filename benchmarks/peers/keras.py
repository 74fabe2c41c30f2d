"""Keras on JAX: its layers through stateless_call, batch-major."""

import os
from importlib import import_module
from typing import Any

import jax.numpy as jnp

from benchmarks.peers.layout import layer, reorder
from jax_rnn.bench.contender import JaxContender, NotOfferedError, Weights
from jax_rnn.bench.problem import Problem

__all__ = ["keras"]


def keras(problem: Problem) -> JaxContender:
    os.environ["KERAS_BACKEND"] = "jax"
    library: Any = import_module("keras")
    setting = problem.setting
    if not setting.plain:
        raise NotOfferedError("only its plain layers are compared")
    name = {"RNN": "SimpleRNN"}.get(setting.kind, setting.kind)
    module = getattr(library.layers, name)(setting.H, return_sequences=True)
    module.build((setting.B, setting.T, setting.I))
    rest = [variable.value for variable in module.non_trainable_variables]

    def convert(weights: Weights) -> list[Any]:
        source = layer(weights)
        if setting.kind != "GRU":
            return [source.kernel_i, source.kernel_h, source.bias]
        biases = jnp.stack([source.bias_i, source.bias_h])
        order = (1, 0, 2)  # z r h
        return [reorder(x, order) for x in (source.kernel_i, source.kernel_h, biases)]

    def apply(params: list[Any], x: Any, lengths: Any) -> Any:
        return module.stateless_call(params, rest, x)[0]

    return JaxContender(problem, apply, convert, time_major=False)
