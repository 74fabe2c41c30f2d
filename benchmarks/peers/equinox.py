"""equinox: its cells in lax.scan, one sequence at a time under vmap, batch-major."""

from importlib import import_module
from typing import Any

import jax
import jax.numpy as jnp

from jax_rnn.bench.contender import JaxContender, NotOfferedError, Weights
from jax_rnn.bench.problem import Problem

__all__ = ["equinox"]


def equinox(problem: Problem) -> JaxContender:
    eqx: Any = import_module("equinox")
    setting = problem.setting
    if setting.kind == "RNN":
        raise NotOfferedError("it has no such cell")
    if not setting.plain:
        raise NotOfferedError("it has no lengths and no layers of two directions")
    kind = {"LSTM": eqx.nn.LSTMCell, "GRU": eqx.nn.GRUCell}[setting.kind]
    template = kind(setting.I, setting.H, key=jax.random.key(0))

    def convert(weights: Weights) -> dict[str, Any]:
        bias_i, bias_h = weights["bias_ih_l0"], weights["bias_hh_l0"]
        params = {
            "weight_ih": weights["weight_ih_l0"],
            "weight_hh": weights["weight_hh_l0"],
            "bias": bias_i + bias_h,
        }
        if setting.kind == "GRU":
            outside = jnp.concatenate([bias_h[: 2 * setting.H], jnp.zeros(setting.H)])
            params |= {"bias": bias_i + outside, "bias_n": bias_h[2 * setting.H :]}
        return params

    def apply(params: dict[str, Any], x: Any, lengths: Any) -> Any:
        names, values = list(params), list(params.values())
        cell = eqx.tree_at(lambda c: [getattr(c, name) for name in names], template, values)
        zeros = jnp.zeros(setting.H, x.dtype)

        def step(carry: Any, x: Any) -> tuple[Any, Any]:
            carry = cell(x, carry)
            return carry, carry[0] if setting.kind == "LSTM" else carry

        def one(x: Any) -> Any:
            carry = (zeros, zeros) if setting.kind == "LSTM" else zeros
            return jax.lax.scan(step, carry, x)[1]

        return jax.vmap(one)(x)

    return JaxContender(problem, apply, convert, time_major=False)
