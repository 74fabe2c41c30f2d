"""A model in JAX, as a side of a comparison."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from jax_rnn.base.typing import default_float
from jax_rnn.interop.state_dict import load_torch_state_dict, torch_state_dict
from jax_rnn.layers.recurrent import Recurrent
from jax_rnn.testing.side import Pass, Side

__all__ = ["JaxSide", "copied"]

ADAM = optax.adam(1e-2)


class JaxSide(Side):
    """An NNX module whose parameters have torch's names.

    A subclass for other models sets ``module`` to any callable pytree and overrides ``named`` and
    ``load``.

    Args:
        module: the model, which ``load`` changes.
        arguments: what it is called with, each an array, a tuple of arrays or None.
    """

    framework, title = "jax", "JAX"

    def __init__(self, module: Any, arguments: tuple[Any, ...]):
        self.module = module
        self.arguments = jax.tree.map(as_jax, arguments)
        if isinstance(module, nnx.Module):
            self.time_axis = _time_axis(module)

    def named(self, tree: Any) -> dict[str, np.ndarray]:
        """The arrays of a pytree of the structure of the model, by torch's names."""
        return torch_state_dict(tree)

    def weights(self) -> dict[str, np.ndarray]:
        return self.named(self.module)

    def load(self, weights: Mapping[str, np.ndarray]) -> None:
        load_torch_state_dict(self.module, weights)

    def shapes(self) -> list[tuple[int, ...]]:
        results = jax.eval_shape(self.module, *self.arguments)
        return [leaf.shape for leaf in jax.tree.leaves(results)]

    def run(self, cotangents: Sequence[np.ndarray]) -> Pass:
        leaves, by_model, by_argument = _run(self.module, self.arguments, [*cotangents])
        results, by_input = ([np.asarray(x) for x in part] for part in (leaves, by_argument))
        return Pass(results, by_input, self.named(by_model))

    def adam(self, cotangents: Sequence[np.ndarray], steps: int) -> dict[str, np.ndarray]:
        model, opt_state = self.module, ADAM.init(self.module)
        weights = [jnp.asarray(w, default_float()) for w in cotangents]
        for _ in range(steps):
            model, opt_state = _adam_step(model, opt_state, self.arguments, weights)
        return self.named(model)


@jax.jit
def _run(model: Any, arguments: Any, cotangents: list[Any]) -> tuple[list, Any, list]:
    """The results of a model, and the gradients of its parameters and of its arguments."""
    results, pull = jax.vjp(lambda model, x: model(*x), model, arguments)
    leaves, structure = jax.tree.flatten(results)
    seeds = [jnp.asarray(w, leaf.dtype) for w, leaf in zip(cotangents, leaves, strict=True)]
    by_model, by_argument = pull(jax.tree.unflatten(structure, seeds))
    of_integers = jax.dtypes.float0
    differentiable = [x for x in jax.tree.leaves(by_argument) if x.dtype != of_integers]
    return leaves, by_model, differentiable


@jax.jit
def _adam_step(model: Any, opt_state: Any, arguments: Any, weights: list[Any]) -> tuple[Any, Any]:
    """A step of Adam on the weighted sum of the results."""

    def scalar(model):
        leaves = jax.tree.leaves(model(*arguments))
        return sum((w * leaf).sum() for w, leaf in zip(weights, leaves, strict=True))

    updates, opt_state = ADAM.update(jax.grad(scalar)(model), opt_state, model)
    return optax.apply_updates(model, updates), opt_state


def copied(module: Any) -> Any:
    """A copy in evaluation mode whose floating parameters have JAX's default dtype."""
    graphdef, params, rest = nnx.split(module, nnx.Param, ...)
    cast = jax.tree.map(lambda leaf: jnp.asarray(leaf, default_float()), params)
    copy = nnx.merge(graphdef, cast, jax.tree.map(jnp.copy, rest))
    copy.eval()
    return copy


def as_jax(x: Any) -> jax.Array:
    """An array, floats in JAX's default dtype."""
    x = np.asarray(x)
    return jnp.asarray(x, default_float() if np.issubdtype(x.dtype, np.floating) else None)


def _time_axis(module: nnx.Module) -> int:
    layers = [node for _, node in nnx.iter_modules(module) if isinstance(node, Recurrent)]
    return 1 if any(layer.batch_first for layer in layers) else 0
