"""Checks of the arguments of constructors."""

import inspect
from numbers import Real
from typing import Any

import jax.numpy as jnp
from flax import nnx

from jax_rnn.base.typing import DTypeLike, default_float

__all__ = [
    "ConstructorSignature",
    "check_count",
    "check_positive",
    "check_rate",
    "check_rngs",
    "parameter_dtype",
]

_FLOATING = ("float16", "bfloat16", "float32", "float64")


class ConstructorSignature:
    """``__signature__`` of a class: that of its ``__init__``, which nnx's metaclass hides."""

    def __get__(self, instance: Any, owner: type) -> inspect.Signature:
        if instance is not None:
            return inspect.signature(instance.__call__)
        signature = inspect.signature(owner.__init__)
        return signature.replace(parameters=list(signature.parameters.values())[1:])


def check_count(name: str, value: Any) -> None:
    """Check that a size or a number of layers is an int above 0."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name}: expected an int, got {value!r}")
    if value < 1:
        raise ValueError(f"{name}: expected at least 1, got {value}")


def check_rate(name: str, value: Any) -> None:
    """Check that a rate is a number from 0 to 1."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name}: expected a number from 0 to 1, got {value!r}")
    if not 0 <= float(value) <= 1:
        raise ValueError(f"{name}: expected a number from 0 to 1, got {value}")


def check_rngs(value: Any) -> None:
    if not isinstance(value, nnx.Rngs):
        raise TypeError(f"rngs: expected nnx.Rngs, got {type(value).__name__}; use nnx.Rngs(seed)")


def parameter_dtype(dtype: DTypeLike | None) -> jnp.dtype:
    """The dtype of parameters; None is JAX's default float."""
    if dtype is None:
        return default_float()
    try:
        dtype = jnp.dtype(dtype)
    except TypeError as error:
        raise ValueError(f"dtype: expected a floating type, got {dtype}") from error
    if dtype.name not in _FLOATING:
        raise ValueError(
            f"dtype: expected a floating type, one of {', '.join(_FLOATING)}, got {dtype.name}"
        )
    if dtype == jnp.float64 and default_float() != jnp.float64:
        raise ValueError(
            "dtype: expected JAX with float64 enabled, got the default, float32; "
            'use jax.config.update("jax_enable_x64", True) or with jax.enable_x64(True)'
        )
    return dtype


def check_positive(name: str, value: Any) -> None:
    """Check that a constant of a cell is a finite number above 0."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name}: expected a number above 0, got {value!r}")
    if not 0 < float(value) < float("inf"):
        raise ValueError(f"{name}: expected a number above 0, got {value}")
