"""Torch's weights in the layouts of other libraries, by linear JAX operations."""

from typing import Any

import jax.numpy as jnp

from jax_rnn.bench.contender import Weights

__all__ = ["Layer", "layer", "reorder", "without_hidden_new_bias"]


class Layer:
    """One layer and direction: kernels (in, G*H) and biases (G*H,)."""

    def __init__(self, weights: Weights, end: str):
        self.kernel_i = weights[f"weight_ih_{end}"].T
        self.kernel_h = weights[f"weight_hh_{end}"].T
        self.bias_i, self.bias_h = weights[f"bias_ih_{end}"], weights[f"bias_hh_{end}"]

    @property
    def bias(self) -> Any:
        return self.bias_i + self.bias_h


def layer(weights: Weights, index: int = 0, reverse: bool = False) -> Layer:
    return Layer(weights, f"l{index}" + ("_reverse" if reverse else ""))


def reorder(x: Any, order: tuple[int, ...]) -> Any:
    """Reorder the gates on the last axis."""
    gates = jnp.split(x, len(order), axis=-1)
    return jnp.concatenate([gates[k] for k in order], axis=-1)


def without_hidden_new_bias(weights: Weights) -> Weights:
    """A GRU's weights with zero for the bias inside the reset product."""

    def clear(bias: Any) -> Any:
        size = len(bias) // 3
        return jnp.concatenate([bias[: 2 * size], jnp.zeros(size, bias.dtype)])

    return {n: clear(jnp.asarray(w)) if "bias_hh" in n else w for n, w in weights.items()}
