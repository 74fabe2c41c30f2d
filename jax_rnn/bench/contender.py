"""The contract of a library that runs a problem, and its implementation for JAX."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jax_rnn.base.compiler import Options
from jax_rnn.bench.problem import LOOP, Pass, Problem

__all__ = [
    "LEARNING_RATE",
    "Build",
    "Contender",
    "JaxContender",
    "NotOfferedError",
    "Weights",
    "same",
]

LEARNING_RATE = 1e-3

Weights = Mapping[str, Any]
"""By torch's names."""


class NotOfferedError(Exception):
    """The library has no such layer; the message states what is missing."""


class Contender(Protocol):
    """One library with one problem.

    Attributes:
        note: how its equations differ; empty if they are the same.
        given: maps the problem's weights to those of a library with fewer weights; linear.
    """

    note: str
    given: Callable[[Weights], Weights]

    def run(self, kind: Pass) -> Any:
        """Run one pass to its end: outputs, (loss, gradients), or the last loss."""
        ...

    def output(self, result: Any) -> np.ndarray:
        """The outputs of a forward pass, float32 (B, T, features)."""
        ...

    def gradients(self, result: Any) -> dict[str, np.ndarray]:
        """The gradients of a backward pass with respect to given weights, by torch's names."""
        ...


Build = Callable[[Problem], Contender]
"""Raises ``NotOfferedError``, or ``ModuleNotFoundError`` for a library that is not installed."""


def same(weights: Weights) -> Weights:
    return weights


class JaxContender:
    """A pure function of parameters and input; parameters are a plain pytree.

    Args:
        problem: the problem to run.
        apply: ``(params, x, lengths) -> output``, inside ``jax.jit``.
        convert: maps the problem's weights to ``params``, by affine JAX operations.
        given: see ``Contender``.
        time_major: whether ``apply`` takes and returns (T, B, features).
        note: see ``Contender``.
        device: the device; None is JAX's default.
        compiler_options: options of XLA for all programs; None is none.
    """

    def __init__(
        self,
        problem: Problem,
        apply: Callable[[Any, Any, Any], Any],
        convert: Callable[[Weights], Any] = dict,
        *,
        given: Callable[[Weights], Weights] = same,
        time_major: bool = True,
        note: str = "",
        device: Any = None,
        compiler_options: Options | None = None,
    ):
        self.problem, self.convert, self.given = problem, convert, given
        self.time_major, self.note = time_major, note
        dtype = jnp.dtype(problem.setting.dtype)
        device = device or jax.devices()[0]
        put = partial(jax.device_put, device=device)
        cast = partial(jax.tree.map, lambda leaf: put(jnp.asarray(leaf, dtype)))
        lengths = None if problem.lengths is None else put(jnp.asarray(problem.lengths))
        self.params = cast(self._convert(problem.weights))
        self.inputs = (*cast((self._major(problem.x), self._major(problem.cotangent))), lengths)
        precision = {"tf32": "tensorfloat32", "float32": "highest"}.get(problem.setting.precision)

        def forward(params, x, lengths):
            with jax.default_matmul_precision(precision):
                return apply(params, x, lengths)

        def loss(params, x, cotangent, lengths):
            return jnp.mean((forward(params, x, lengths) * cotangent).astype(jnp.float32))

        jit = partial(jax.jit, compiler_options=dict(compiler_options or {}))
        self._forward, self._backward = jit(forward), jit(jax.value_and_grad(loss))
        start, self._training = _training(loss, jit)
        trained = jax.tree.map(jnp.copy, self.params)
        self._trained = (trained, jax.jit(start)(trained))

    def run(self, kind: Pass) -> Any:
        x, cotangent, lengths = self.inputs
        if kind == "forward":
            return jax.block_until_ready(self._forward(self.params, x, lengths))
        if kind == "backward":
            return jax.block_until_ready(self._backward(self.params, x, cotangent, lengths))
        value, *trained = self._training[kind](*self._trained, x, cotangent, lengths)
        self._trained = tuple(jax.block_until_ready(trained))
        return value

    def compiled(self, kind: Pass) -> Any:
        """The compiled program of a pass (see ``jax.stages.Compiled``)."""
        return self.lowered(kind).compile()

    def lowered(self, kind: Pass, device: Any = None) -> Any:
        """The program of a pass before compilation (see ``jax.stages.Lowered``).

        Args:
            kind: the pass.
            device: the device to compile for, also one that can only be compiled for; None is that
                of the contender.
        """
        x, cotangent, lengths = self.inputs
        if kind == "forward":
            program, arguments = self._forward, (self.params, x, lengths)
        elif kind == "backward":
            program, arguments = self._backward, (self.params, x, cotangent, lengths)
        else:
            program = self._training[kind]
            arguments = (*self._trained, x, cotangent, lengths)
        if device is not None:
            place = partial(_abstract, sharding=jax.sharding.SingleDeviceSharding(device))
            arguments = jax.tree.map(place, arguments)
        return program.lower(*arguments)

    def output(self, result: Any) -> np.ndarray:
        return self._major(np.asarray(result.astype(jnp.float32)))

    def gradients(self, result: Any) -> dict[str, np.ndarray]:
        _, back = jax.vjp(self._convert, dict(self.problem.weights))
        (grads,) = back(jax.tree.map(lambda leaf: leaf.astype(jnp.float32), result[1]))
        return {name: np.asarray(value) for name, value in grads.items()}

    def _convert(self, weights: Weights) -> Any:
        return self.convert(self.given({name: jnp.asarray(w) for name, w in weights.items()}))

    def _major(self, x: np.ndarray) -> np.ndarray:
        """Convert (B, T, features) to the layout of ``apply``, and back."""
        return np.swapaxes(x, 0, 1) if self.time_major else x


def _abstract(leaf: Any, sharding: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)


def _training(
    loss: Callable[..., Any], jit: Callable[..., Any]
) -> tuple[Callable[..., Any], dict[Pass, Any]]:
    """The start of Adam's state, and the programs of one step and of ``LOOP`` steps with it."""
    optimizer = optax.adam(LEARNING_RATE)

    def step(params, state, x, cotangent, lengths):
        value, grads = jax.value_and_grad(loss)(params, x, cotangent, lengths)
        updates, state = optimizer.update(grads, state, params)
        return value, optax.apply_updates(params, updates), state

    def loop(params, state, x, cotangent, lengths):
        def body(trained, _):
            value, *trained = step(trained[0], trained[1], x, cotangent, lengths)
            return tuple(trained), value

        trained, values = jax.lax.scan(body, (params, state), length=LOOP)
        return values[-1], *trained

    return optimizer.init, {
        "step": jit(step, donate_argnums=(0, 1)),
        "loop": jit(loop, donate_argnums=(0, 1)),
    }
