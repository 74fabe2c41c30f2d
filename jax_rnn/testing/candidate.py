"""The cell that is checked: a copy in float64, random data, and runs to compare."""

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax

from jax_rnn.base.typing import Array, PyTree, combined, floats_of
from jax_rnn.cells.base import Cell
from jax_rnn.cells.inputs import example, shape_of
from jax_rnn.scans.runner import run as run_scan
from jax_rnn.scans.sequential import Sequential
from jax_rnn.testing.compiled import compiled

__all__ = ["Candidate", "Wrong", "agree", "at", "named", "outcome", "sequential", "snapshot"]

TOLERANCE = 1e-9

SCAN = Sequential(project="before", unroll_gradient=1)
"""The definition of a scan, compiled as for larger sizes: inputs projected at once, one loop."""

sequential = partial(run_scan, scan=SCAN)

Outcome = dict[str, Array]
"""Arrays by name: ``y``, the fields of the carry, and possibly a loss and its gradients."""

Run = Callable[..., tuple[Any, Array]]
"""``run(cell, carry, xs, context=context) -> (carry, y)``."""


class Wrong(Exception):
    """A result that is not the expected one."""

    def __init__(self, got: str, fix: str):
        super().__init__(got)
        self.got, self.fix = got, fix


class Candidate:
    """The cell and data that the checks use; everything is computed when first needed.

    The cell is a copy, so the original is not changed. Its parameters are in float64, and zero
    parameters are replaced by random ones, since a zero bias would hide errors. The carry is the
    result of two steps of the cell, so it is random and valid.
    """

    def __init__(
        self, cell: Cell, batch: int | None, steps: int | None, seed: int, context: Any = None
    ):
        self.original = cell
        self.seed = seed
        self._batch, self._steps, self.original_context = batch, steps, context
        self.traced: list[tuple[int, ...]] = []

    @cached_property
    def cell(self) -> Cell:
        rng = np.random.default_rng(self.seed)

        def wide(leaf):
            if not inexact(leaf):
                return leaf
            return np.asarray(leaf, jnp.promote_types(leaf.dtype, jnp.float64))

        def lively(leaf):
            return np.where(leaf == 0, 0.3 * rng.normal(size=leaf.shape), leaf)

        graphdef, params, rest = nnx.split(self.original, _trainable, ...)
        params, rest = jax.tree.map(wide, (params, rest))
        params = jax.tree.map(lively, params)
        return nnx.merge(graphdef, *jax.device_put((params, rest)))

    @cached_property
    def batch(self) -> int:
        return self._batch or self._other_than(3)

    @cached_property
    def steps(self) -> int:
        return self._steps or self._other_than(4, self.batch)

    def _other_than(self, size: int, *sizes: int) -> int:
        """A size that no feature axis has, so that mixed up axes do not fit by chance."""
        cell = self.cell
        features = jax.tree.leaves(cell.input_size)
        taken = {*features, cell.hidden_size, cell.output_size, *sizes}
        while size in taken:
            size += 2
        return size

    @cached_property
    def context(self) -> Any:
        """What the cell is called with as ``context``: the user's, in float64."""
        return jax.tree.map(
            lambda leaf: jnp.asarray(leaf, jnp.float64) if inexact(leaf) else jnp.asarray(leaf),
            self.original_context,
        )

    def example(self, *batch: int) -> Any:
        """Shapes and dtypes of an input of one step; images have a size that no other axis has."""
        pixels = self._other_than(2, self.batch, self.steps)
        return example(self.cell, batch, pixels)

    def input(self, *batch: int, seed: int = 0) -> Any:
        """A random input: normal numbers, and integers below ``input_size``."""
        rng = np.random.default_rng([self.seed, seed, *batch])

        def draw(leaf: Any, size: int) -> Array:
            if jnp.issubdtype(leaf.dtype, jnp.integer):
                return jax.device_put(rng.integers(0, size, leaf.shape).astype(leaf.dtype))
            return jax.device_put(
                np.asarray(self.normal(*leaf.shape, like=leaf, seed=seed), leaf.dtype)
            )

        return jax.tree.map(draw, self.example(*batch), self.cell.input_size)

    def normal(self, *shape: int, like: Any = None, seed: int = 0) -> Array:
        rng = np.random.default_rng([self.seed, seed, *shape])
        values = rng.normal(size=shape)
        if like is not None and jnp.iscomplexobj(like):
            values = values + 1j * rng.normal(size=shape)
        return jax.device_put(values)

    @cached_property
    def xs(self) -> Any:
        return self.input(self.steps, self.batch)

    @cached_property
    def other_xs(self) -> Any:
        return self.input(self.steps, self.batch, seed=1)

    @cached_property
    def resets(self) -> Array:
        """A reset in every row, at different steps."""
        time, row = np.arange(self.steps)[:, None], np.arange(self.batch)
        return jax.device_put(time == 1 + row % (self.steps - 1))

    @cached_property
    def initial(self) -> Any:
        return self.cell.initialize_carry(shape_of(self.example(self.batch)))

    @cached_property
    def carry(self) -> Any:
        return self.reach(2)

    @cached_property
    def other_carry(self) -> Any:
        return self.reach(3)

    def reach(self, seed: int) -> Any:
        """The carry after two steps on other inputs."""
        carry, xs = self.initial, self.input(2, self.batch, seed=seed)
        for t in range(2):
            carry, _ = self.cell(carry, at(xs, t), self.context)
        return carry

    @cached_property
    def step(self) -> Callable[[Any, Any], tuple[Any, Array]]:
        """A call of the cell, compiled."""
        return compiled(lambda carry, x: self.cell(carry, x, self.context))

    @cached_property
    def variables(self) -> dict[str, Any]:
        """The variables with respect to which a run is differentiated."""
        fields = {k: leaf for k, leaf in self.carry._asdict().items() if inexact(leaf)}
        params = nnx.state(self.cell, _trainable)
        found = {"params": params, "carry": fields, "x": floats_of(self.xs)[0]}
        context = floats_of(self.context)[0]
        return found | ({"context": context} if jax.tree.leaves(context) else {})

    @cached_property
    def fixed(self) -> dict[str, Any]:
        """The rest: integers of the carry, the input and the context."""
        fields = {k: leaf for k, leaf in self.carry._asdict().items() if not inexact(leaf)}
        return {"carry": fields, "x": floats_of(self.xs)[1], "context": self.context}

    @cached_property
    def cotangent(self) -> Outcome:
        """Random weights for the outcome of a run; the loss is the inner product."""
        y = jax.eval_shape(lambda: self.cell(self.initial, at(self.xs, 0), self.context)[1])
        weights = {"y": self.normal(self.steps, *y.shape, seed=4)}
        return weights | {
            f"carry.{name}": self.normal(*leaf.shape, like=leaf, seed=5)
            for name, leaf in self.variables["carry"].items()
        }

    def projected(self, x: Any) -> Any:
        """What the cell inside all wrappers computes of an input of one step without a carry."""
        inner = self.cell._before(x, None, self.context)[-1]
        return self.cell._core()._project(inner, None, self.context)

    def with_params(self, params: Any) -> Cell:
        graphdef, _, rest = nnx.split(self.cell, _trainable, ...)
        return nnx.merge(graphdef, params, rest)

    def carry_of(self, out: Outcome) -> Any:
        return type(self.carry)(*(out[f"carry.{name}"] for name in self.carry._fields))

    def run(self, carry: Any, xs: Any, context: Any = None) -> Outcome:
        """The compiled scan of this library; ``traced`` lists the shapes of its traces."""
        return outcome(*self._run(*nnx.split(self.cell), carry, xs, context))

    @cached_property
    def _run(self) -> Callable[..., Any]:
        @partial(compiled, static_argnums=0)
        def run(graphdef, state, carry, xs, context):
            self.traced.append(shape_of(xs))
            return sequential(nnx.merge(graphdef, state), carry, xs, context=context)

        def with_context(graphdef, state, carry, xs, context=None):
            return run(graphdef, state, carry, xs, self.context if context is None else context)

        return with_context

    def graded(self, run: Run) -> Callable[[Any, Any, Outcome], Outcome]:
        """``(variables, fixed, cotangent) -> outcome`` of ``run``, with loss and gradients."""

        def loss(variables, fixed, cotangent):
            carry = type(self.carry)(**(variables["carry"] | fixed["carry"]))
            xs = combined(variables["x"], fixed["x"])
            context = combined(variables.get("context"), fixed["context"])
            cell = self.with_params(variables["params"])
            out = outcome(*run(cell, carry, xs, context=context))
            return sum((weight * out[k]).sum().real for k, weight in cotangent.items()), out

        def grade(*args):
            (value, out), gradients = jax.value_and_grad(loss, has_aux=True)(*args)
            gradients = {f"gradient of {k}": leaf for k, leaf in named(gradients).items()}
            return out | {"loss": value} | gradients

        return grade

    def definition(self, lengths: Any = None, variables: Any = None) -> Outcome:
        """The expected result for rows of these lengths, by a Python loop over the cell.

        Nothing is masked. All carries are stored, and the loss uses the outputs of each row before
        its end and the carry at its end.
        """
        lengths = np.full(self.batch, self.steps) if lengths is None else lengths
        variables = variables or self.variables
        return self._definition(variables, self.fixed, self.cotangent, lengths)

    @cached_property
    def _definition(self) -> Callable[..., Outcome]:
        def run(cell, carry, xs, context):
            def body(carry, x):
                new, y = cell(carry, x, context)
                return new, (carry, y)

            last, (carries, ys) = lax.scan(body, carry, xs)
            return jax.tree.map(lambda a, b: jnp.concatenate([a, b[None]]), carries, last), ys

        @compiled
        def define(variables, fixed, cotangent, lengths):
            time = jnp.arange(self.steps + 1)[:, None]

            def only(keep, leaf):
                return jnp.where(keep.reshape(keep.shape + (1,) * (leaf.ndim - 2)), leaf, 0)

            cotangent = {
                k: only(time[1:] <= lengths, w) if k == "y" else only(time == lengths, w[None])
                for k, w in cotangent.items()
            }
            out = self.graded(run)(variables, fixed, cotangent)
            rows = jnp.arange(self.batch)
            ends = {k: leaf[lengths, rows] for k, leaf in out.items() if k.startswith("carry.")}
            return out | ends | {"y": only(time[1:] <= lengths, out["y"])}

        return define


def at(tree: PyTree, where: Any) -> PyTree:
    """The same part of every array of a tree."""
    return jax.tree.map(lambda leaf: jax.device_put(np.asarray(leaf)[where]), tree)


def outcome(carry: Any, ys: Any) -> Outcome:
    return {"y": ys} | {f"carry.{name}": leaf for name, leaf in carry._asdict().items()}


def inexact(leaf: Any) -> bool:
    return hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jnp.inexact)


def _trainable(path: Any, value: Any) -> bool:
    return isinstance(value, nnx.Param) and inexact(value)


def named(tree: PyTree) -> dict[str, Any]:
    """The leaves of a tree by their path."""
    return dict(_named(tree))


def _named(tree: PyTree) -> Iterator[tuple[str, Any]]:
    for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        name = jax.tree_util.keystr(path, simple=True, separator=".")
        yield name.removesuffix(".value").removeprefix("params."), leaf


def snapshot(cell: Cell) -> tuple[Any, dict[str, np.ndarray]]:
    """The state of a cell: its plain attributes, and its variables by name."""
    graphdef, state = nnx.split(cell)
    return graphdef, {name: _plain(leaf) for name, leaf in named(state).items()}


def _plain(leaf: Any) -> np.ndarray:
    is_key = hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return np.array(jax.random.key_data(leaf) if is_key else leaf)


def agree(
    actual: Mapping[str, Any],
    expected: Mapping[str, Any],
    where: str,
    fix: str,
    tolerance: float = TOLERANCE,
) -> None:
    """Check that two sets of arrays by name are equal up to rounding.

    Raises:
        Wrong: the first difference.
    """
    where = f" {where}" if where else ""
    for name in expected:
        a, b = np.asarray(actual[name]), np.asarray(expected[name])
        if a.shape != b.shape:
            raise Wrong(f"{name} of shape {a.shape} instead of {b.shape}{where}", fix)
        if not a.size:
            continue
        allowed = tolerance * max(1.0, float(np.abs(b).max()))
        gap = np.abs(np.where(a == b, 0, a - b))
        if not (gap <= allowed).all():
            place = tuple(int(i) for i in np.unravel_index(np.nanargmax(_bad(gap)), gap.shape))
            raise Wrong(
                f"{name}{list(place) if place else ''} = {a[place]:.6g} instead of {b[place]:.6g}"
                f"{where} (allowed difference {allowed:.1e})",
                fix,
            )


def _bad(gap: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(gap), np.inf, gap)
