"""The parity ladder: does a JAX model equal a torch model?"""

from collections.abc import Mapping
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Literal

import jax
import numpy as np
from flax import nnx

from jax_rnn.base.typing import describe
from jax_rnn.testing.jax_side import JaxSide, copied
from jax_rnn.testing.rung import Part, Rung, compared, listed, numbered
from jax_rnn.testing.side import Pass, Side
from jax_rnn.testing.torch_side import TorchSide

if TYPE_CHECKING:
    import torch

__all__ = ["Climb", "ParityError", "Rung", "check_parity", "climb", "climb_sides"]

TOLERANCES = {
    "float64": {"forward": 1e-10, "gradients": 1e-9, "steps": 1e-9},
    "float32": {"forward": 1e-5, "gradients": 1e-4, "steps": 1e-3},
}
"""Relative to the largest compared number, at least 1. In float64 only rounding is allowed. In
float32 rounding is 1e-7 of a value, which grows in sums and further layers, and Adam divides a
small gradient, and so its error, by its own size."""


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
    import torch

    with jax.enable_x64(dtype == "float64"):
        arguments = inputs if isinstance(inputs, tuple) else (inputs,)
        theirs = deepcopy(torch_module).to(getattr(torch, dtype))
        theirs.eval()
        ours = JaxSide(copied(jax_module), arguments)
        return climb_sides(
            ours, TorchSide(theirs, arguments), steps=steps, dtype=dtype, seed=seed
        ).rungs


def climb_sides(
    ours: Side,
    theirs: Side,
    *,
    steps: int = 5,
    dtype: Literal["float64", "float32"] = "float64",
    seed: int = 0,
) -> "Climb":
    """The ladder of two models, of which the first is given the parameters of the second.

    Args:
        ours, theirs: the sides; use inside ``jax.enable_x64`` for float64.
        steps, dtype, seed: as for ``check_parity``.
    """
    pair = Climb(ours, theirs, steps, TOLERANCES[dtype], seed)
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
        pair.rungs.append(rung())
        if not pair.rungs[-1].passed:
            break
    return pair


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


class Climb:
    """Two models, each run once and compared rung by rung.

    Attributes:
        rungs: the rungs so far.
        passes: results and gradients of both, once the models have run.
    """

    def __init__(
        self, ours: Side, theirs: Side, steps: int, tolerance: Mapping[str, float], seed: int
    ):
        self.ours, self.theirs = ours, theirs
        self.steps, self.tolerance = steps, tolerance
        self.rng = np.random.default_rng(seed)
        self.rungs: list[Rung] = []
        self.passes: list[Pass] = []
        self._cotangents: list[np.ndarray] = []
        self._weights = ours.weights(), theirs.weights()

    def names(self) -> Rung:
        ours, theirs = map(set, self._weights)
        faults = [f"missing in {self.ours.title}: {name}" for name in sorted(theirs - ours)]
        faults += [f"missing in {self.theirs.title}: {name}" for name in sorted(ours - theirs)]
        return listed("parameter names", faults, f"{len(ours)} names")

    def count(self) -> Rung:
        ours, theirs = (sum(value.size for value in side.values()) for side in self._weights)
        fault = f"{self.ours.title} has {ours} parameters, {self.theirs.title} {theirs}"
        return listed("parameter count", [fault] * (ours != theirs), f"{ours} parameters")

    def shapes(self) -> Rung:
        ours, theirs = self._weights
        faults = [
            f"{name}: {self.ours.title} {value.shape}, {self.theirs.title} {theirs[name].shape}"
            for name, value in ours.items()
            if value.shape != theirs[name].shape
        ]
        return listed("parameter shapes", faults, f"{len(theirs)} shapes")

    def forward(self) -> Rung:
        self.ours.load(self._weights[1])
        self._cotangents = [self.rng.standard_normal(shape) for shape in self.ours.shapes()]
        self.passes = [side.run(self._cotangents) for side in (self.ours, self.theirs)]
        ours, theirs = (side.results[0] for side in self.passes)
        return self._compare("forward", [("output", ours, theirs)])

    def carry(self) -> Rung:
        ours, theirs = (side.results[1:] for side in self.passes)
        if len(ours) != len(theirs):
            detail = (
                f"{self.ours.title} returns {len(ours)} states, {self.theirs.title} {len(theirs)}"
            )
            return Rung("final carry", False, None, None, detail)
        return self._compare("final carry", numbered("state", ours, theirs), in_time=False)

    def input_gradients(self) -> Rung:
        ours, theirs = (side.by_input for side in self.passes)
        return self._compare("input gradients", numbered("input", ours, theirs), "gradients")

    def weight_gradients(self) -> Rung:
        ours, theirs = (side.by_weight for side in self.passes)
        named = [(name, ours[name], theirs[name]) for name in sorted(theirs)]
        return self._compare("weight gradients", named, "gradients", in_time=False)

    def optimizer_steps(self) -> Rung:
        ours, theirs = (
            side.adam(self._cotangents, self.steps) for side in (self.ours, self.theirs)
        )
        named = [(name, ours[name], theirs[name]) for name in sorted(theirs)]
        return self._compare(f"{self.steps} steps of Adam", named, "steps", in_time=False)

    def _compare(
        self, name: str, parts: list[Part], kind: str = "forward", *, in_time: bool = True
    ) -> Rung:
        axis = self.ours.time_axis if in_time else None
        titles = self.ours.title, self.theirs.title
        return compared(name, parts, titles, self.tolerance[kind], axis)
