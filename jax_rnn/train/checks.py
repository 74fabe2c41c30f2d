"""Checks of the arguments of ``fit``, before anything is compiled or written."""

from typing import Any

import jax
import optax
from flax import nnx

from jax_rnn.base.errors import ArgumentError, ArgumentTypeError
from jax_rnn.data.batches import Repeated

__all__ = ["check_arguments", "check_counts", "count_steps", "count_to_restart"]


def check_arguments(
    model: Any, loss: Any, optimizer: Any, evaluate: Any, patience: int | None
) -> None:
    """Check the parts of a training. TypeError, ValueError: one of another kind, or missing."""
    _check_model(model)
    if not isinstance(optimizer, optax.GradientTransformation):
        raise ArgumentTypeError("optimizer", _instead(optimizer))
    if not callable(loss):
        raise ArgumentTypeError("loss", f"expected a function, got {type(loss).__name__}")
    if evaluate is None and patience is not None:
        raise ArgumentError(
            "patience", "expected evaluate= too, which returns the figures, got None"
        )


def _check_model(model: Any) -> None:
    """Check the model. TypeError, ValueError: not an NNX module, or one without parameters."""
    if isinstance(model, type):
        raise ArgumentTypeError(
            "model",
            f"expected an nnx.Module, got the class {model.__name__}; make an instance, as "
            f"{model.__name__}(..., rngs=nnx.Rngs(0))",
        )
    if not isinstance(model, nnx.Module):
        raise ArgumentTypeError(
            "model",
            f"expected an nnx.Module, got {type(model).__name__}; write a class that holds "
            "the layers, or nnx.Sequential(...)",
        )
    if not jax.tree.leaves(nnx.state(model, nnx.Param)):
        found = f"{type(model).__name__} without any nnx.Param"
        raise ArgumentError("model", f"expected parameters to train, got {found}")


def _instead(optimizer: Any) -> str:
    """What to pass in place of something that is not an optax transformation."""
    name = getattr(optimizer, "__name__", type(optimizer).__name__)
    remedy = "use an optax optimizer such as optax.adam(1e-3)"
    if isinstance(optimizer, nnx.Optimizer):
        remedy = "pass the transformation that it was created with"
    elif callable(optimizer):
        remedy = f"call it with a learning rate, as {name}(1e-3)"
    return f"expected an optax.GradientTransformation, got {name}; {remedy}"


def check_counts(**counts: int | None) -> None:
    """Check the counts: ints above 0, or None except for ``accumulate``."""
    for name, value in counts.items():
        optional = name != "accumulate"
        if value is None and optional:
            continue
        if isinstance(value, bool) or not isinstance(value, int):
            raise ArgumentTypeError(name, f"expected an int, got {value!r}")
        if value < 1:
            rest = ", or None" if optional and name not in ("steps", "epochs") else ""
            raise ArgumentError(name, f"expected at least 1{rest}, got {value}")


def count_steps(steps: int | None, epochs: int | None, batches: Any, accumulate: int) -> int:
    """The number of optimizer steps, from ``steps`` or ``epochs``.

    Raises:
        TypeError: both or none is given.
        ValueError: data without ``per_epoch``; fewer than one step; no batches to accumulate.
    """
    if accumulate > 1 and isinstance(batches, Repeated):
        raise ArgumentError(
            "accumulate",
            f"expected 1, since every step trains on the same arrays, got {accumulate}; pass "
            "batches, e.g. jax_rnn.data.Shuffled",
        )
    if (steps is None) == (epochs is None):
        raise TypeError("expected steps or epochs, got " + ("neither" if steps is None else "both"))
    if steps is not None:
        return steps
    assert epochs is not None
    total = epochs * _per_epoch(batches, "epochs", "use steps")
    if total < accumulate:
        raise ArgumentError(
            "epochs",
            f"expected at least {accumulate} batches for one step (accumulate), got {total}",
        )
    return total // accumulate


def count_to_restart(batches: Any, carry: Any, restart: bool) -> int | None:
    """The number of batches after which the carry starts anew; None for never.

    Raises:
        ValueError: no carry that could start anew; data without ``per_epoch``.
    """
    if not restart:
        return None
    if carry is None:
        raise ArgumentError("restart_carry", "expected a carry to restart, got None; pass carry=")
    return _per_epoch(batches, "restart_carry", "add this attribute to the data")


def _per_epoch(batches: Any, name: str, remedy: str) -> int:
    """The number of batches in an epoch. ValueError: data without ``per_epoch``."""
    found = getattr(batches, "per_epoch", None)
    if found is None:
        expected = "expected data with the attribute per_epoch, the number of batches in an epoch"
        raise ArgumentError(name, f"{expected}, got {type(batches).__name__}; {remedy}")
    return found
