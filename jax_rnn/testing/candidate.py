"""The cell that is checked: a copy in float64, random data, and runs to compare."""

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax

from jax_rnn.cells.base import Cell
from jax_rnn.scans.choice import run as run_scan
from jax_rnn.scans.sequential import Sequential
from jax_rnn.typing import Array, PyTree

__all__ = ["Candidate", "Wrong", "agree", "named", "outcome", "sequential", "snapshot"]

TOLERANCE = 1e-9

SCAN = Sequential(project="before", unroll_gradient=1)
"""The definition of a scan, compiled as for larger sizes: inputs projected at once, one loop."""

sequential = partial(run_scan, scan=SCAN)

Outcome = dict[str, Array]
"""Arrays by name: ``y``, the fields of the carry, and possibly a loss and its gradients."""

Run = Callable[[Cell, Any, Array], tuple[Any, Array]]


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

    def __init__(self, cell: Cell, batch: int | None, steps: int | None, seed: int):
        self.original = cell
        self.seed = seed
        self._batch, self._steps = batch, steps
        self.traced: list[tuple[int, ...]] = []

    @cached_property
    def cell(self) -> Cell:
        rng = np.random.default_rng(self.seed)

        def wide(leaf):
            if not inexact(leaf):
                return leaf
            return jnp.asarray(leaf, jnp.promote_types(leaf.dtype, jnp.float64))

        def lively(leaf):
            return jnp.where(leaf == 0, 0.3 * rng.normal(size=leaf.shape), leaf)

        graphdef, params, rest = nnx.split(self.original, _trainable, ...)
        params, rest = jax.tree.map(wide, (params, rest))
        return nnx.merge(graphdef, jax.tree.map(lively, params), rest)

    @cached_property
    def batch(self) -> int:
        return self._batch or self._other_than(3)

    @cached_property
    def steps(self) -> int:
        return self._steps or self._other_than(4, self.batch)

    def _other_than(self, size: int, *sizes: int) -> int:
        """A size that no feature axis has, so that mixed up axes do not fit by chance."""
        cell = self.cell
        taken = {cell.input_size, cell.hidden_size, cell.output_size, *sizes}
        while size in taken:
            size += 2
        return size

    def normal(self, *shape: int, like: Any = None, seed: int = 0) -> Array:
        rng = np.random.default_rng([self.seed, seed, *shape])
        values = rng.normal(size=shape)
        if like is not None and jnp.iscomplexobj(like):
            values = values + 1j * rng.normal(size=shape)
        return jnp.asarray(values)

    @cached_property
    def xs(self) -> Array:
        return self.normal(self.steps, self.batch, self.cell.input_size)

    @cached_property
    def other_xs(self) -> Array:
        return self.normal(*self.xs.shape, seed=1)

    @cached_property
    def resets(self) -> Array:
        """A reset in every row, at different steps."""
        return jnp.arange(self.steps)[:, None] == 1 + jnp.arange(self.batch) % (self.steps - 1)

    @cached_property
    def initial(self) -> Any:
        return self.cell.initialize_carry((self.batch, self.cell.input_size))

    @cached_property
    def carry(self) -> Any:
        return self.reach(2)

    @cached_property
    def other_carry(self) -> Any:
        return self.reach(3)

    def reach(self, seed: int) -> Any:
        """The carry after two steps on separate inputs."""
        carry = self.initial
        for x in self.normal(2, *self.xs.shape[1:], seed=seed):
            carry, _ = self.cell.step(carry, self.cell.project(x))
        return carry

    @cached_property
    def variables(self) -> dict[str, Any]:
        """The variables with respect to which a run is differentiated."""
        fields = {k: leaf for k, leaf in self.carry._asdict().items() if inexact(leaf)}
        return {"params": nnx.state(self.cell, _trainable), "carry": fields, "x": self.xs}

    @cached_property
    def counters(self) -> dict[str, Array]:
        """The other fields of the carry: integers."""
        return {k: leaf for k, leaf in self.carry._asdict().items() if not inexact(leaf)}

    @cached_property
    def cotangent(self) -> Outcome:
        """Random weights for the outcome of a run; the loss is the inner product."""
        y = self.normal(*self.xs.shape[:2], self.cell.output_size, seed=4)
        return {"y": y} | {
            f"carry.{name}": self.normal(*leaf.shape, like=leaf, seed=5)
            for name, leaf in self.variables["carry"].items()
        }

    def with_params(self, params: Any) -> Cell:
        graphdef, _, rest = nnx.split(self.cell, _trainable, ...)
        return nnx.merge(graphdef, params, rest)

    def carry_of(self, out: Outcome) -> Any:
        return type(self.carry)(*(out[f"carry.{name}"] for name in self.carry._fields))

    def run(self, carry: Any, xs: Any) -> Outcome:
        """The compiled scan of this library; ``traced`` lists the shapes of its traces."""
        return outcome(*self._run(*nnx.split(self.cell), carry, xs))

    @cached_property
    def _run(self) -> Callable[..., Any]:
        def run(graphdef, state, carry, xs):
            self.traced.append(xs.shape)
            return sequential(nnx.merge(graphdef, state), carry, xs)

        return jax.jit(run, static_argnums=0)

    def graded(self, run: Run) -> Callable[[Any, Any, Outcome], Outcome]:
        """``(variables, counters, cotangent) -> outcome`` of ``run``, with loss and gradients."""

        def loss(variables, counters, cotangent):
            carry = type(self.carry)(**(variables["carry"] | counters))
            out = outcome(*run(self.with_params(variables["params"]), carry, variables["x"]))
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
        return self._definition(variables, self.counters, self.cotangent, lengths)

    @cached_property
    def _definition(self) -> Callable[..., Outcome]:
        def run(cell, carry, xs):
            def body(carry, x):
                new, y = cell(carry, x)
                return new, (carry, y)

            last, (carries, ys) = lax.scan(body, carry, xs)
            return jax.tree.map(lambda a, b: jnp.concatenate([a, b[None]]), carries, last), ys

        @jax.jit
        def define(variables, counters, cotangent, lengths):
            time = jnp.arange(self.steps + 1)[:, None]

            def only(keep, leaf):
                return jnp.where(keep.reshape(keep.shape + (1,) * (leaf.ndim - 2)), leaf, 0)

            cotangent = {
                k: only(time[1:] <= lengths, w) if k == "y" else only(time == lengths, w[None])
                for k, w in cotangent.items()
            }
            out = self.graded(run)(variables, counters, cotangent)
            rows = jnp.arange(self.batch)
            ends = {k: leaf[lengths, rows] for k, leaf in out.items() if k.startswith("carry.")}
            return out | ends | {"y": only(time[1:] <= lengths, out["y"])}

        return define


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
    for name in expected:
        a, b = np.asarray(actual[name]), np.asarray(expected[name])
        if a.shape != b.shape:
            raise Wrong(f"{name} of shape {a.shape} instead of {b.shape} {where}", fix)
        if not a.size:
            continue
        allowed = tolerance * max(1.0, float(np.abs(b).max()))
        gap = np.abs(np.where(a == b, 0, a - b))
        if not (gap <= allowed).all():
            place = tuple(int(i) for i in np.unravel_index(np.nanargmax(_bad(gap)), gap.shape))
            raise Wrong(
                f"{name}{list(place) if place else ''} = {a[place]:.6g} instead of {b[place]:.6g} "
                f"{where} (allowed difference {allowed:.1e})",
                fix,
            )


def _bad(gap: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(gap), np.inf, gap)
