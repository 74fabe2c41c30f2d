"""The parity ladder: does a JAX model equal a torch model?"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from jax_rnn.interop.state_dict import load_torch_state_dict, torch_state_dict
from jax_rnn.recurrent import Recurrent
from jax_rnn.typing import default_float, describe

if TYPE_CHECKING:
    import torch

__all__ = ["ParityError", "Rung", "check_parity", "climb"]

TOLERANCES = {
    "float64": {"forward": 1e-10, "gradients": 1e-9, "steps": 1e-9},
    "float32": {"forward": 1e-5, "gradients": 1e-4, "steps": 1e-3},
}
"""Relative to the largest compared number, at least 1. In float64 only rounding is allowed. In
float32 rounding is 1e-7 of a value, which grows in sums and further layers, and Adam divides a
small gradient, and so its error, by its own size."""


@dataclass(frozen=True)
class Rung:
    """One step of the ladder.

    Attributes:
        name: what was compared.
        passed: whether the two agree.
        difference: the largest difference; None if nothing is measured.
        tolerance: the allowed difference.
        detail: the result in words.
    """

    name: str
    passed: bool
    difference: float | None
    tolerance: float | None
    detail: str


class ParityError(AssertionError):
    """The models differ. ``rungs`` holds the ladder up to the rung that failed."""

    def __init__(self, rungs: list[Rung]):
        failed = rungs[-1]
        climbed = ", ".join(rung.name for rung in rungs[:-1]) or "none"
        super().__init__(f"{failed.name}: {failed.detail}\nrungs passed: {climbed}")
        self.rungs = rungs


def check_parity(
    jax_module: nnx.Module,
    torch_module: "torch.nn.Module",
    inputs: Any,
    *,
    steps: int = 5,
    dtype: Literal["float64", "float32"] = "float64",
    seed: int = 0,
) -> list[Rung]:
    """Compare a JAX model with a torch model, from names to training.

    The rungs: parameter names, parameter count, parameter shapes, forward, final carry, gradients
    of the inputs, gradients of the weights, optimizer steps. The comparison stops at the first rung
    that fails. Both models run from torch's weights, as copies and in evaluation mode: neither is
    changed. Gradients are those of a random linear combination of all outputs and states, so that
    errors do not cancel.

    Args:
        jax_module: any NNX module whose parameters carry torch's names (see ``torch_state_dict``).
        torch_module: the torch model that it should equal.
        inputs: the input array of both, or a tuple of arguments, each an array, a tuple of arrays
            or None. The first result is compared as the output, all others as the carry.
        steps: number of steps of Adam.
        dtype: dtype to which both models and all floating inputs are cast.
        seed: seed of the random numbers in the scalar.

    Returns:
        All rungs.

    Raises:
        ParityError: the models differ; the message states the parameter or the output, the time
            step and the index of the first difference.
        TypeError: an argument is not a module of its framework. ValueError: no steps, or another
            dtype.
    """
    rungs = climb(jax_module, torch_module, inputs, steps=steps, dtype=dtype, seed=seed)
    if not rungs[-1].passed:
        raise ParityError(rungs)
    return rungs


def climb(
    jax_module: nnx.Module,
    torch_module: "torch.nn.Module",
    inputs: Any,
    *,
    steps: int = 5,
    dtype: Literal["float64", "float32"] = "float64",
    seed: int = 0,
) -> list[Rung]:
    """``check_parity`` without the error: the rungs up to the first failed one."""
    _check_arguments(jax_module, torch_module, steps)
    if dtype not in TOLERANCES:
        raise ValueError(f"dtype: expected one of {sorted(TOLERANCES)}, got {dtype!r}")
    with jax.enable_x64(dtype == "float64"):
        pair = _Pair(jax_module, torch_module, inputs, steps, dtype, seed)
        rungs = []
        for rung in (
            pair.names,
            pair.count,
            pair.shapes,
            pair.forward,
            pair.carry,
            pair.input_gradients,
            pair.weight_gradients,
            pair.optimizer_steps,
        ):
            rungs.append(rung())
            if not rungs[-1].passed:
                break
        return rungs


def _check_arguments(jax_module: Any, torch_module: Any, steps: int) -> None:
    import torch

    for module, kind in ((jax_module, nnx.Module), (torch_module, torch.nn.Module)):
        if not isinstance(module, kind):
            raise TypeError(
                f"check_parity: expected a JAX module and a torch module, in this order, got "
                f"{describe(jax_module)} and {describe(torch_module)}"
            )
    if steps < 1:
        raise ValueError(f"steps: expected at least 1, got {steps}")


class _Pair:
    """Two models, each run once and compared rung by rung."""

    def __init__(self, ours: Any, theirs: Any, inputs: Any, steps: int, dtype: str, seed: int):
        import torch

        self.torch = torch
        self.steps, self.dtype = steps, dtype
        self.tolerance = TOLERANCES[dtype]
        self.rng = np.random.default_rng(seed)
        self.theirs = deepcopy(theirs).to(getattr(torch, dtype))
        self.ours = _cast(ours)
        self.theirs.eval()
        self.ours.eval()
        self.time_axis = _time_axis(ours)
        self.arguments = inputs if isinstance(inputs, tuple) else (inputs,)

    def names(self) -> Rung:
        ours, theirs = set(torch_state_dict(self.ours)), set(self._state())
        faults = [f"missing in JAX: {name}" for name in sorted(theirs - ours)]
        faults += [f"missing in torch: {name}" for name in sorted(ours - theirs)]
        return _listed("parameter names", faults, f"{len(ours)} names")

    def count(self) -> Rung:
        ours = sum(value.size for value in torch_state_dict(self.ours).values())
        theirs = sum(value.size for value in self._state().values())
        faults = [] if ours == theirs else [f"JAX has {ours} parameters, torch {theirs}"]
        return _listed("parameter count", faults, f"{ours} parameters")

    def shapes(self) -> Rung:
        theirs = self._state()
        faults = [
            f"{name}: JAX {value.shape}, torch {theirs[name].shape}"
            for name, value in torch_state_dict(self.ours).items()
            if value.shape != theirs[name].shape
        ]
        return _listed("parameter shapes", faults, f"{len(theirs)} shapes")

    def forward(self) -> Rung:
        load_torch_state_dict(self.ours, self._state())
        self._run()
        return self._compare("forward", [("output", self.results[0][0], self.results[1][0])])

    def carry(self) -> Rung:
        ours, theirs = (leaves[1:] for leaves in self.results)
        if len(ours) != len(theirs):
            detail = f"JAX returns {len(ours)} states, torch {len(theirs)}"
            return Rung("final carry", False, None, None, detail)
        parts = zip(ours, theirs, strict=True)
        named = [(f"state {k}", a, b) for k, (a, b) in enumerate(parts)]
        return self._compare("final carry", named, time_axis=None)

    def input_gradients(self) -> Rung:
        ours, theirs = self.argument_gradients
        pairs = zip(ours, theirs, strict=True)
        named = [(f"input {k}", a, b) for k, (a, b) in enumerate(pairs)]
        return self._compare("input gradients", named, "gradients")

    def weight_gradients(self) -> Rung:
        ours, theirs = self.parameter_gradients
        named = [(name, ours[name], theirs[name]) for name in sorted(theirs)]
        return self._compare("weight gradients", named, "gradients", time_axis=None)

    def optimizer_steps(self) -> Rung:
        ours, theirs = self._train_jax(), self._train_torch()
        named = [(name, ours[name], theirs[name]) for name in sorted(theirs)]
        return self._compare(f"{self.steps} steps of Adam", named, "steps", time_axis=None)

    def _run(self) -> None:
        """Forward and gradients of both, once."""
        arguments = jax.tree.map(_to_jax, self.arguments)
        shapes = jax.eval_shape(self.ours, *arguments)
        self.weights = [self.rng.standard_normal(leaf.shape) for leaf in jax.tree.leaves(shapes)]
        seeds = [
            jnp.asarray(w, leaf.dtype)
            for w, leaf in zip(self.weights, jax.tree.leaves(shapes), strict=True)
        ]

        @jax.jit
        def run(model, arguments):
            results, pull = jax.vjp(lambda model, x: model(*x), model, arguments)
            by_model, by_argument = pull(jax.tree.unflatten(jax.tree.structure(results), seeds))
            of_integers = jax.dtypes.float0
            differentiable = [x for x in jax.tree.leaves(by_argument) if x.dtype != of_integers]
            return jax.tree.leaves(results), by_model, differentiable

        leaves, by_model, by_argument = run(self.ours, arguments)

        tensors, flat = self._tensors()
        found = _leaves(self.theirs(*tensors))
        self.results = (
            [np.asarray(leaf) for leaf in leaves],
            [leaf.detach().numpy() for leaf in found],
        )
        if [a.shape for a in leaves] == [tuple(b.shape) for b in found]:
            self._scalar(found).backward()
        self.argument_gradients = (
            [np.asarray(leaf) for leaf in by_argument],
            [_gradient(x) for x in flat],
        )
        self.parameter_gradients = (
            torch_state_dict(by_model),
            {name: _gradient(p) for name, p in self.theirs.named_parameters()},
        )
        self.theirs.zero_grad()

    def _train_jax(self) -> dict[str, np.ndarray]:
        optimizer = optax.adam(1e-2)
        arguments = jax.tree.map(_to_jax, self.arguments)
        weights = [jnp.asarray(w, default_float()) for w in self.weights]

        def scalar(model):
            leaves = jax.tree.leaves(model(*arguments))
            return sum((w * leaf).sum() for w, leaf in zip(weights, leaves, strict=True))

        @jax.jit
        def step(model, opt_state):
            updates, opt_state = optimizer.update(jax.grad(scalar)(model), opt_state, model)
            return optax.apply_updates(model, updates), opt_state

        model, opt_state = self.ours, optimizer.init(self.ours)
        for _ in range(self.steps):
            model, opt_state = step(model, opt_state)
        return torch_state_dict(model)

    def _train_torch(self) -> dict[str, np.ndarray]:
        optimizer = self.torch.optim.Adam(self.theirs.parameters(), lr=1e-2)
        tensors, _ = self._tensors()
        for _ in range(self.steps):
            optimizer.zero_grad()
            self._scalar(_leaves(self.theirs(*tensors))).backward()
            optimizer.step()
        return self._state()

    def _scalar(self, leaves: Sequence[Any]) -> Any:
        pairs = zip(self.weights, leaves, strict=True)
        return sum((self.torch.tensor(w, dtype=leaf.dtype) * leaf).sum() for w, leaf in pairs)

    def _tensors(self) -> tuple[Any, list[Any]]:
        """The arguments as tensors, and those with gradients."""
        flat = []

        def tensor(x: Any) -> Any:
            if np.issubdtype(np.asarray(x).dtype, np.floating):
                made = self.torch.tensor(np.asarray(x), dtype=getattr(self.torch, self.dtype))
                flat.append(made.requires_grad_())
                return made
            return self.torch.tensor(np.asarray(x))

        return jax.tree.map(tensor, self.arguments), flat

    def _state(self) -> dict[str, np.ndarray]:
        return {k: v.detach().numpy().copy() for k, v in self.theirs.state_dict().items()}

    def _compare(
        self,
        name: str,
        parts: list[tuple[str, np.ndarray, np.ndarray]],
        kind: str = "forward",
        *,
        time_axis: int | None = -1,
    ) -> Rung:
        tolerance = self.tolerance[kind]
        axis = self.time_axis if time_axis == -1 else None
        worst = 0.0
        for part, ours, theirs in parts:
            if ours.shape != theirs.shape:
                detail = f"{part} has shape {ours.shape} in JAX, {theirs.shape} in torch"
                return Rung(name, False, None, tolerance, detail)
            gap = np.abs(ours - theirs)
            gap = np.where(np.isnan(gap), np.inf, gap)
            allowed = tolerance * max(1.0, float(np.abs(theirs).max(initial=0)))
            if gap.size and gap.max() > allowed:
                detail = _first_fault(part, ours, theirs, gap, allowed, axis)
                return Rung(name, False, float(gap.max()), tolerance, detail)
            worst = max(worst, float(gap.max(initial=0)))
        detail = f"{len(parts)} compared, largest difference {worst:.1e}" if parts else "none"
        return Rung(name, True, worst, tolerance, detail)


def _first_fault(
    part: str,
    ours: np.ndarray,
    theirs: np.ndarray,
    gap: np.ndarray,
    tolerance: float,
    time_axis: int | None,
) -> str:
    """The largest difference in the first time step that differs, or of all elements."""
    where = "at"
    candidates = gap
    if time_axis is not None and gap.ndim > time_axis + 1:
        others = tuple(axis for axis in range(gap.ndim) if axis != time_axis)
        step = int(np.argmax((gap > tolerance).any(others)))
        mask = np.arange(gap.shape[time_axis]) == step
        shape = [-1 if axis == time_axis else 1 for axis in range(gap.ndim)]
        candidates = np.where(mask.reshape(shape), gap, -1.0)
        where = f"first at time step {step}, most at"
    index = tuple(int(i) for i in np.unravel_index(np.argmax(candidates), gap.shape))
    return (
        f"{part} differs {where} index {index}: JAX {ours[index]:.9g}, torch {theirs[index]:.9g}, "
        f"difference {gap[index]:.1e}, allowed {tolerance:.1e}; {(gap > tolerance).sum()} of "
        f"{gap.size} numbers differ by more"
    )


def _listed(name: str, faults: list[str], fine: str) -> Rung:
    return Rung(name, not faults, None, None, "; ".join(faults) or fine)


def _cast(module: Any) -> Any:
    """A copy whose floating parameters have JAX's default dtype."""
    graphdef, params, rest = nnx.split(module, nnx.Param, ...)
    cast = jax.tree.map(lambda leaf: jnp.asarray(leaf, default_float()), params)
    return nnx.merge(graphdef, cast, jax.tree.map(jnp.copy, rest))


def _to_jax(x: Any) -> jax.Array:
    x = np.asarray(x)
    return jnp.asarray(x, default_float() if np.issubdtype(x.dtype, np.floating) else None)


def _time_axis(module: nnx.Module) -> int:
    layers = [node for _, node in nnx.iter_modules(module) if isinstance(node, Recurrent)]
    return 1 if any(layer.batch_first for layer in layers) else 0


def _leaves(results: Any) -> list[Any]:
    """Tensors of nested tuples, in order."""
    if isinstance(results, tuple | list):
        return [leaf for part in results for leaf in _leaves(part)]
    return [] if results is None else [results]


def _gradient(tensor: Any) -> np.ndarray:
    gradient = tensor.grad
    return np.zeros(tuple(tensor.shape)) if gradient is None else gradient.numpy().copy()
