"""One optimizer step as a pure function of the variables of a model."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax import lax

from jax_rnn.base.caches import cached
from jax_rnn.base.errors import ArgumentError, ArgumentTypeError
from jax_rnn.base.typing import DTypeLike, PyTree, describe

__all__ = ["Loss", "Report", "TrainState", "Training", "merge", "prepare", "split"]

Loss = Callable[..., Any]
"""``loss(model, batch) -> (loss, metrics)``, the metrics any pytree of arrays, or the loss alone;
with a carry ``loss(model, batch, carry=carry) -> (loss, metrics, carry)``; with a seed it is
called with ``rngs=``."""


class TrainState(NamedTuple):
    """The state of an optimizer step.

    Attributes:
        params: the ``nnx.Param`` of the model.
        model_state: its other variables and arrays, which a step may change too.
        opt_state: the state of the optimizer.
        carry: the carry; with ``per_epoch`` a pair, the second of which is that of the start.
        step: number of completed steps.
    """

    params: Any
    model_state: Any
    opt_state: optax.OptState
    carry: Any
    step: Any


class Report(NamedTuple):
    """The report of one step."""

    loss: Any
    metrics: Any


class Training(NamedTuple):
    """A model as pure functions for training, and their initial state."""

    state: TrainState
    step: Callable[[TrainState, Any], tuple[TrainState, Report]]
    rebuild: Callable[[Any, Any], nnx.Module]
    """Parameters and other state -> the model in evaluation mode."""


def prepare(
    model: nnx.Module,
    loss: Loss,
    optimizer: optax.GradientTransformation,
    carry: PyTree = None,
    seed: int | jax.Array | None = None,
    accumulate: int = 1,
    compute_dtype: DTypeLike | None = None,
    per_epoch: int | None = None,
    place: Callable[[Any], Any] = lambda arrays: arrays,
) -> Training:
    """Split ``model`` once; return its state, a copy, and the pure optimizer step.

    In ``step(state, batch) -> (state, report)``, loss and metrics are those of the parameters
    before the step. For another model of the same kind, with an equal loss and optimizer, it is the
    same function, so ``jax.jit`` does not compile it again.

    Args:
        model, loss, optimizer, carry, compute_dtype: as for ``fit``.
        seed: seed of ``rngs``, new for every step and every batch of it; an int, or traced.
        accumulate: number of batches per step, stacked along a new leading axis of ``batch``.
        per_epoch: number of batches after which the carry starts anew; None never does it.
        place: puts the arrays of the model and the carry where the state is computed.
    """
    graphdef, params, model_state = split(model)
    what = graphdef, loss, optimizer, seed, accumulate, compute_dtype, per_epoch
    begin, step, rebuild = cached(_functions, *what)
    return Training(begin(*place((params, model_state, carry))), step, rebuild)


def _functions(
    graphdef: Any,
    loss: Loss,
    optimizer: optax.GradientTransformation,
    seed: int | jax.Array | None,
    accumulate: int,
    compute_dtype: DTypeLike | None,
    per_epoch: int | None,
) -> tuple[Callable, Callable, Callable]:
    """``begin(params, model_state, carry) -> state``, and the functions of ``Training``."""

    def evaluate(params, model_state, carry, batch, key):
        params = _cast(params, compute_dtype)
        model = merge(graphdef, params, model_state)
        more = {} if carry is None else {"carry": carry}
        if key is not None:
            more["rngs"] = nnx.Rngs(dropout=key)
        value, metrics, carry = _parts(loss(model, batch, **more), carry)
        return value, (metrics, (_state_after(model, params, model_state), carry))

    def gradient(params, carried, batch, number, key):
        model_state, carry = carried
        if number is not None:
            carry, first = carry
            anew = number % per_epoch == 0
            carry = jax.tree.map(lambda a, b: jnp.where(anew, a, b), first, carry)
        found = jax.value_and_grad(evaluate, has_aux=True)(params, model_state, carry, batch, key)
        (value, (metrics, (model_state, carry))), gradients = found
        carry = carry if number is None else (carry, first)
        return gradients, Report(value, metrics), (model_state, carry)

    take = gradient if accumulate == 1 else _mean(gradient, accumulate)

    @jax.jit
    def begin(params, model_state, carry):
        carry = _cast(carry, compute_dtype)
        carry = carry if per_epoch is None else (carry, carry)
        copied = jax.tree.map(jnp.copy, (params, model_state, carry))
        params, model_state, carry = copied
        return TrainState(
            params, model_state, optimizer.init(params), carry, jnp.zeros((), jnp.int32)
        )

    def step(state: TrainState, batch: Any) -> tuple[TrainState, Report]:
        key = None if seed is None else jax.random.fold_in(jax.random.key(seed), state.step)
        number = None if per_epoch is None else state.step % per_epoch * accumulate
        carried = state.model_state, state.carry
        gradients, report, carried = take(state.params, carried, batch, number, key)
        updates, opt_state = optimizer.update(gradients, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        model_state, carry = carried
        return TrainState(params, model_state, opt_state, carry, state.step + 1), report

    def rebuild(params, model_state):
        model = merge(graphdef, params, model_state)
        model.eval()
        return model

    return begin, step, rebuild


def _mean(gradient: Callable, accumulate: int) -> Callable:
    """The same over the batches of a step, one after the other."""

    def mean_gradient(params, carried, batches, first, key):
        def add(carried, inputs):
            k, batch = inputs
            part = None if key is None else jax.random.fold_in(key, k)
            number = None if first is None else first + k
            gradients, report, carried = gradient(params, carried, batch, number, part)
            return carried, (gradients, report)

        carried, parts = lax.scan(add, carried, (jnp.arange(accumulate), batches))
        gradients, report = jax.tree.map(lambda leaf: leaf.mean(0), parts)
        return gradients, report, carried

    return mean_gradient


def _parts(result: Any, carry: PyTree) -> tuple[Any, Any, Any]:
    """The result of a loss: the loss, its metrics, and the next carry in the form of the last.

    Raises:
        TypeError: not a valid result.
        ValueError: a loss that is not a floating scalar; a carry of other shapes.
    """
    parts: Any = result if isinstance(result, tuple) else (result,)
    expected = "(loss, metrics)" if carry is None else "(loss, metrics, carry)"
    if len(parts) not in ((1, 2) if carry is None else (3,)):
        raise ArgumentTypeError(
            "loss",
            f"expected it to return {expected}, got {len(parts)} values; metrics may be {{}}, and "
            "for a carry pass the initial one, fit(..., carry=...)",
        )
    value: Any = parts[0]
    metrics: Any = parts[1] if len(parts) > 1 else {}
    if isinstance(value, int | float):
        value = jnp.asarray(value, float)
    if not hasattr(value, "shape") or value.shape or not jnp.issubdtype(value.dtype, jnp.floating):
        raise ArgumentError(
            "loss",
            f"expected a floating-point scalar, got {describe(value)}; use the mean",
        )
    return value, metrics, None if carry is None else _like(parts[2], carry)


def _like(new: PyTree, old: PyTree) -> PyTree:
    """The arrays of ``new`` in the structure and dtypes of ``old``: a tuple for a named tuple."""
    leaves, before = jax.tree.leaves(new), jax.tree.leaves(old)
    shapes, expected = [jnp.shape(leaf) for leaf in leaves], [jnp.shape(leaf) for leaf in before]
    if shapes != expected:
        raise ArgumentError(
            "carry", f"expected the loss to return arrays of shapes {expected}, got {shapes}"
        )
    cast = [leaf.astype(other.dtype) for leaf, other in zip(leaves, before, strict=True)]
    return jax.tree.unflatten(jax.tree.structure(old), cast)


def _cast(tree: PyTree, dtype: DTypeLike | None) -> PyTree:
    if dtype is None:
        return tree
    return jax.tree.map(
        lambda leaf: leaf.astype(dtype) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf, tree
    )


def split(model: nnx.Module) -> tuple[Any, Any, Any]:
    """The graph of a model, its ``nnx.Param`` and its other state, without ``nnx.Intermediate``.

    Raises:
        TypeError: variables that hold anything but numbers and arrays.
    """
    if jax.tree.leaves(nnx.state(model, nnx.Intermediate)):
        model = nnx.clone(model)
        nnx.pop(model, nnx.Intermediate)
    for _, part in nnx.iter_modules(model):
        for name, value in [*vars(part).items()]:
            if isinstance(value, jax.Array) and not nnx.is_data(value):  # made under jit or vmap
                setattr(part, name, nnx.data(value))
    graphdef, params, model_state = nnx.split(model, nnx.Param, ...)
    try:
        return graphdef, params, jax.tree.map(jnp.asarray, model_state)
    except TypeError as error:
        raise ArgumentTypeError(
            "model",
            f"expected variables that hold numbers and arrays, got others ({error}); keep other "
            "values in plain attributes",
        ) from error


def merge(graphdef: Any, params: Any, model_state: Any) -> Any:
    """The model, with variables of its own, which can be changed where it is called."""
    return nnx.merge(graphdef, *jax.tree.map(lambda leaf: leaf, (params, model_state)))


def _state_after(model: nnx.Module, params: Any, model_state: Any) -> Any:
    """The other state of a model after a loss, with the dtypes of before.

    Args:
        model: the model that the loss was called with.
        params, model_state: its variables before.

    Raises:
        ValueError: the loss has created, removed or reshaped variables.
    """
    _, new_params, _, new_state = nnx.split(model, nnx.Param, nnx.Intermediate, ...)
    before, after = _shapes(params, model_state), _shapes(new_params, new_state)
    if before != after:
        names = sorted({name for name, _ in before ^ after})
        shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        raise ArgumentError(
            "model",
            f"expected a loss that creates, removes or reshapes no variables, but it changed "
            f"{shown}; create all variables in __init__, and return other results as metrics",
        )
    leaves = map(_with_dtype, jax.tree.leaves(new_state), jax.tree.leaves(model_state))
    return jax.tree.unflatten(jax.tree.structure(model_state), leaves)


def _shapes(*states: PyTree) -> set[tuple[str, tuple[int, ...]]]:
    """The names and shapes of all arrays."""
    leaves = (leaf for state in states for leaf in jax.tree_util.tree_flatten_with_path(state)[0])
    name = partial(jax.tree_util.keystr, simple=True, separator=".")
    return {(name(path).removesuffix(".value"), jnp.shape(leaf)) for path, leaf in leaves}


def _with_dtype(new: Any, old: Any) -> Any:
    return new if jnp.issubdtype(old.dtype, jax.dtypes.prng_key) else jnp.asarray(new, old.dtype)
