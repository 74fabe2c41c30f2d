"""Initial distributions of parameters: torch's by default, or Flax's.

A scheme has an initializer for every kind of parameter of a recurrent model. Two schemes are built
in, and any other ``Scheme`` can be used instead:

``"torch"``
    Recurrent layers: weights and biases from U(-1/sqrt(H), 1/sqrt(H)), with the hidden size H.
    Linear: weight and bias from U(-1/sqrt(I), 1/sqrt(I)). Embedding: N(0, 1).
``"flax"``
    Input weights LeCun normal, recurrent weights orthogonal, separately per gate; biases zero.
    Linear: LeCun normal, zero bias. Embedding: N(0, 1/features).

``weight_hr``, the projection of an LSTM, takes ``(key, hidden_size, proj_size, dtype)`` and
returns ``(proj_size, hidden_size)``. The other recurrent initializers take ``(key, gates,
hidden_size, fan_in, dtype)`` and return an array of shape ``(gates * hidden_size, fan_in)``, or
``(gates * hidden_size,)`` for a bias.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import sqrt
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax.nn import initializers as jax_initializers

from jax_rnn.base.typing import Array

__all__ = ["FLAX", "TORCH", "Init", "Scheme", "constant", "per_gate", "published", "resolve"]


@dataclass(frozen=True)
class Scheme:
    """One initializer per kind of parameter."""

    name: str
    weight_ih: Callable[..., Array]
    weight_hh: Callable[..., Array]
    weight_hr: Callable[..., Array]
    bias: Callable[..., Array]
    linear_kernel: Callable[[int], jax_initializers.Initializer]
    linear_bias: Callable[[int], jax_initializers.Initializer]
    embedding: Callable[[int], jax_initializers.Initializer]
    bias_hh: Callable[..., Array] | None = None
    """Of the hidden map's bias, if it is not drawn as ``bias`` is."""


Init = Literal["torch", "flax"] | Scheme


def _uniform(bound: float) -> jax_initializers.Initializer:
    def init(key, shape, dtype=jnp.float32, out_sharding=None):
        return jax.random.uniform(key, shape, dtype, -bound, bound, out_sharding=out_sharding)

    return init


def _uniform_weight(key, gates, hidden_size, fan_in, dtype):
    return _uniform(1 / sqrt(hidden_size))(key, (gates * hidden_size, fan_in), dtype)


def _uniform_bias(key, gates, hidden_size, fan_in, dtype):
    return _uniform(1 / sqrt(hidden_size))(key, (gates * hidden_size,), dtype)


def _uniform_projection(key, hidden_size, proj_size, dtype):
    return _uniform(1 / sqrt(hidden_size))(key, (proj_size, hidden_size), dtype)


def _lecun_projection(key, hidden_size, proj_size, dtype):
    return jax_initializers.lecun_normal()(key, (hidden_size, proj_size), dtype).T


def per_gate(init: jax_initializers.Initializer):
    """An (in, out) kernel for every gate, stacked in torch's (gates * out, in) layout."""

    def weight(key, gates, hidden_size, fan_in, dtype):
        keys = jax.random.split(key, gates)
        return jnp.concatenate([init(k, (fan_in, hidden_size), dtype).T for k in keys])

    return weight


def _zero_bias(key, gates, hidden_size, fan_in, dtype):
    return jnp.zeros((gates * hidden_size,), dtype)


def constant(*values: float) -> Callable[..., Array]:
    """The initializer of a bias that has one value per gate, e.g. 1 for a forget gate."""

    def bias(key, gates, hidden_size, fan_in, dtype):
        return jnp.repeat(jnp.asarray(values, dtype), hidden_size)

    return bias


def published(base: Scheme, *biases: float, **changes: Any) -> Scheme:
    """``base`` with one value per gate as the bias of the input's map, and none in the other."""
    changes = {"bias": constant(*biases), "bias_hh": _zero_bias} | changes
    return replace(base, name="published", **changes)


TORCH = Scheme(
    name="torch",
    weight_ih=_uniform_weight,
    weight_hh=_uniform_weight,
    weight_hr=_uniform_projection,
    bias=_uniform_bias,
    linear_kernel=lambda fan_in: _uniform(1 / sqrt(fan_in)),
    linear_bias=lambda fan_in: _uniform(1 / sqrt(fan_in)),
    embedding=lambda features: jax_initializers.normal(1.0),
)

FLAX = Scheme(
    name="flax",
    weight_ih=per_gate(jax_initializers.lecun_normal()),
    weight_hh=per_gate(jax_initializers.orthogonal()),
    weight_hr=_lecun_projection,
    bias=_zero_bias,
    linear_kernel=lambda fan_in: jax_initializers.lecun_normal(),
    linear_bias=lambda fan_in: jax_initializers.zeros,
    embedding=lambda features: jax_initializers.normal(1 / sqrt(features)),
)

_SCHEMES = {scheme.name: scheme for scheme in (TORCH, FLAX)}


def resolve(init: Init) -> Scheme:
    """The scheme of this name, or the scheme itself."""
    if isinstance(init, Scheme):
        return init
    if not isinstance(init, str) or init not in _SCHEMES:
        raise ValueError(f"init: expected one of {sorted(_SCHEMES)} or a Scheme, got {init!r}")
    return _SCHEMES[init]
