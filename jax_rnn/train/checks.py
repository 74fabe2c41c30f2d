"""Checks of the arguments of ``fit``, before anything is compiled or written."""

from collections.abc import Iterable
from typing import Any

import jax
import optax
from flax import nnx

from jax_rnn.data.batches import Batches, Repeated, Stream, as_array

__all__ = ["as_batches", "check_arguments", "check_counts", "count_steps", "count_to_restart"]


def check_arguments(
    model: Any, loss: Any, optimizer: Any, evaluate: Any, patience: int | None
) -> None:
    """Check the parts of a training. TypeError, ValueError: one of another kind, or missing."""
    _check_model(model)
    _check_optimizer(optimizer)
    if not callable(loss):
        raise TypeError(f"loss: expected a function, got {type(loss).__name__}")
    if evaluate is None and patience is not None:
        raise ValueError("patience: expected evaluate=, which returns the figures, got None")


def _check_model(model: Any) -> None:
    """Check the model. TypeError, ValueError: not an NNX module, or one without parameters."""
    if isinstance(model, type):
        raise TypeError(
            f"model: expected an nnx.Module, got the class {model.__name__}; make an instance, as "
            f"{model.__name__}(..., rngs=nnx.Rngs(0))"
        )
    if not isinstance(model, nnx.Module):
        raise TypeError(
            f"model: expected an nnx.Module, got {type(model).__name__}; write a class that holds "
            "the layers, or nnx.Sequential(...)"
        )
    if not jax.tree.leaves(nnx.state(model, nnx.Param)):
        raise ValueError(
            f"model: expected parameters to train, got {type(model).__name__} without any nnx.Param"
        )


def _check_optimizer(optimizer: Any) -> None:
    """Check the optimizer. TypeError: not an optax transformation."""
    if isinstance(optimizer, optax.GradientTransformation):
        return
    remedy = "use an optax optimizer such as optax.adam(1e-3)"
    if isinstance(optimizer, nnx.Optimizer):
        remedy = "pass the transformation that it was created with"
    elif callable(optimizer):
        name = getattr(optimizer, "__name__", "it")
        remedy = f"call it with a learning rate, as {name}(1e-3)"
    raise TypeError(
        "optimizer: expected an optax.GradientTransformation, got "
        f"{getattr(optimizer, '__name__', type(optimizer).__name__)}; {remedy}"
    )


def check_counts(**counts: int | None) -> None:
    """Check the counts: ints above 0, or None except for ``accumulate``."""
    for name, value in counts.items():
        optional = name != "accumulate"
        if value is None and optional:
            continue
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"{name}: expected an int, got {value!r}")
        if value < 1:
            rest = ", or None" if optional and name not in ("steps", "epochs") else ""
            raise ValueError(f"{name}: expected at least 1{rest}, got {value}")


def as_batches(data: Any) -> Batches:
    """The data of ``fit`` as batches: the same arrays at every step, or one batch per step.

    Raises:
        TypeError: a generator, which can be read only once; a function; a data set without batches.
        ValueError: no batch, or no array.
    """
    if isinstance(data, Batches):
        return data
    if isinstance(data, str | bytes) or callable(data):
        raise TypeError(
            f"data: expected arrays, jax_rnn.data.Shuffled or an iterable of batches, got "
            f"{type(data).__name__}"
        )
    if hasattr(data, "__next__"):
        raise TypeError(
            f"data: expected batches that can be read again, got {type(data).__name__}, which can "
            "be read once; pass a list, a class with __iter__, or jax_rnn.data.Shuffled"
        )
    if _is_torch_dataset(data):
        raise TypeError(
            "data: expected batches, got a torch Dataset, which gives single rows; wrap it in "
            "torch.utils.data.DataLoader(data, batch_size=...)"
        )
    if not jax.tree.leaves(data):
        raise ValueError(f"data: expected arrays, got {data!r}")
    leaf = jax.tree_util.treedef_is_leaf(jax.tree.structure(data))
    iterable = leaf and isinstance(data, Iterable) and not hasattr(data, "shape")
    if iterable or _is_list_of_batches(data):
        return Stream(data)
    return Repeated(jax.tree.map(lambda x: as_array(x) if hasattr(x, "detach") else x, data))


def count_steps(steps: int | None, epochs: int | None, batches: Any, accumulate: int) -> int:
    """The number of optimizer steps, from ``steps`` or ``epochs``.

    Raises:
        TypeError: both or none is given.
        ValueError: data without ``per_epoch``; fewer than one step; no batches to accumulate.
    """
    if accumulate > 1 and isinstance(batches, Repeated):
        raise ValueError("accumulate: expected batches to take several from, got the same arrays")
    if (steps is None) == (epochs is None):
        raise TypeError("expected steps or epochs, got " + ("neither" if steps is None else "both"))
    if steps is not None:
        return steps
    assert epochs is not None
    total = epochs * count_batches(batches, "epochs", "use steps")
    if total < accumulate:
        raise ValueError(
            f"epochs: expected at least {accumulate} batches for one step, got {total}"
        )
    return total // accumulate


def count_batches(batches: Any, name: str, remedy: str) -> int:
    """The number of batches in an epoch. ValueError: data without ``per_epoch``."""
    per_epoch = getattr(batches, "per_epoch", None)
    if per_epoch is None:
        raise ValueError(
            f"{name}: expected data with per_epoch, the batches in an epoch, got "
            f"{type(batches).__name__}; {remedy}"
        )
    return per_epoch


def count_to_restart(batches: Any, carry: Any, restart: bool) -> int | None:
    """The number of batches after which the carry starts anew; None for never.

    Raises:
        ValueError: no carry that could start anew; data without ``per_epoch``.
    """
    if not restart:
        return None
    if carry is None:
        raise ValueError("restart_carry: expected a carry that starts anew, got none; pass carry=")
    return count_batches(batches, "restart_carry", "add this attribute to the data")


def _is_list_of_batches(data: Any) -> bool:
    return isinstance(data, list) and bool(data) and isinstance(data[0], dict | tuple | list)


def _is_torch_dataset(data: Any) -> bool:
    return any(base.__module__ == "torch.utils.data.dataset" for base in type(data).__mro__)
