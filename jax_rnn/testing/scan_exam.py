"""``check_scan``: checks that every scan must pass."""

from collections.abc import Callable, Iterator
from copy import copy
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jax_rnn.cells.base import Cell
from jax_rnn.cells.gru import GRUCell
from jax_rnn.cells.literature.min_gru import MinGRUCell
from jax_rnn.cells.literature.original_gru import OriginalGRUCell
from jax_rnn.cells.zoneout import Zoneout
from jax_rnn.layers.sequences import lengths_to_mask
from jax_rnn.scans.base import Scan
from jax_rnn.scans.choice import named
from jax_rnn.scans.runner import run_all
from jax_rnn.scans.sequential import Sequential
from jax_rnn.testing.candidate import Candidate, Wrong, agree, outcome
from jax_rnn.testing.candidate import named as by_name
from jax_rnn.testing.compiled import compiled

__all__ = ["ScanExamError", "check_scan"]

STEPS, BATCH = 5, 3

PLAIN = Sequential()


class ScanExamError(AssertionError):
    """A scan failed. The message states the check, the cell, the result and the fix."""


class Case(NamedTuple):
    """Options of a run, and what to do if a scan is wrong only with them."""

    name: str
    options: dict[str, Any]
    fix: str


LENGTHS = np.array([STEPS, 2, 0])
RESETS = np.arange(STEPS)[:, None] == np.array([1, 3, 2])
CASES = (
    Case("values", {}, "run the steps in order, each from the carry of the one before"),
    Case("reverse", {"reverse": True}, "with reverse, run from the last step to the first"),
    Case(
        "masks",
        {"mask": lengths_to_mask(LENGTHS, STEPS)},
        "in steps whose mask is False, keep the carry and return zeros, as advance does",
    ),
    Case(
        "resets",
        {"resets": RESETS, "mask": lengths_to_mask(LENGTHS, STEPS), "reverse": True},
        "before steps of inputs.resets, take constants.initial as carry, as advance does",
    ),
    Case("states", {"states": True}, "return (y, carry) of every step if constants.states"),
)


def check_scan(scan: Scan, cell: Cell | None = None, *, seed: int = 0) -> list[str]:
    """Check that a scan returns what the definition returns, one step after another.

    | name | expected |
    | --- | --- |
    | form | an immutable value that can be hashed and equals its copy |
    | values | outputs and last carry |
    | reverse | the same from the last step to the first |
    | masks | steps after the end of a sequence change nothing |
    | resets | the carry goes back to the initial one, with masks, from the end |
    | states | the carries of all steps |
    | noise | the same random numbers |
    | gradients | those of parameters, carry and inputs, in all of these cases |
    | jit | the same in a compiled program, which is not compiled twice |

    Args:
        scan: the scan.
        cell: the cell that it runs, in float64; None (default) is every one of several kinds that
            it supports.
        seed: int, seed of the random inputs.

    Returns:
        The names of the checks that passed.

    Raises:
        ScanExamError: the scan failed. TypeError: not a scan, or one that can be changed.
        ValueError: the scan does not support the cell.
    """
    if named(scan) == "auto" or isinstance(scan, str):
        raise TypeError(f"check_scan: expected a jax_rnn.scans.Scan, got {scan!r}")
    if copy(scan) != scan:
        raise TypeError(
            f"check_scan: expected a scan that equals its copy, got {scan!r}; use "
            "@dataclass(frozen=True), so that programs are not compiled again"
        )
    with jax.enable_x64(True), jax.debug_nans(False):
        cells = [cell] if cell is not None else [one for one in _cells() if scan.supports(one)]
        if not cells or not all(map(scan.supports, cells)):
            raise ValueError(
                f"check_scan: expected a cell that {type(scan).__name__} supports, got "
                f"{'none of the kinds of this library' if cell is None else type(cell).__name__}; "
                "pass cell="
            )
        for one in cells:
            wide = Candidate(one, None, None, seed).cell
            for name, check, fix in _checks(scan, wide, seed):
                try:
                    check()
                except Exception as error:
                    raise ScanExamError(_message(scan, one, name, error, fix)) from error
    return ["form", *(case.name for case in CASES), "noise", "gradients", "jit"]


def _message(scan: Scan, cell: Cell, name: str, error: Exception, fix: str) -> str:
    got = str(error)
    if not isinstance(error, Wrong):
        got = f"{type(error).__name__}: {' '.join(got.split())[:300]}"
    return (
        f"{type(scan).__name__} of {type(cell).__name__}, {name}: expected the result of "
        f"Sequential(), got {got}; {fix}"
    )


def _gradients(parts: tuple[Any, ...]) -> dict[str, Any]:
    """Gradients of the parameters, the carry and the inputs, by name."""
    named_parts = by_name(dict(zip(("params", "carry", "x"), parts, strict=True)))
    return {f"gradient of {name}": leaf for name, leaf in named_parts.items()}


def _cells() -> Iterator[Cell]:
    rngs = nnx.Rngs(0)
    yield Zoneout(GRUCell(2, 4, rngs=rngs), h=0.3)
    yield MinGRUCell(2, 4, rngs=rngs)
    yield OriginalGRUCell(2, 4, rngs=rngs)


def _checks(scan: Scan, cell: Cell, seed: int) -> Iterator[tuple[str, Callable[[], None], str]]:
    rng = np.random.default_rng(seed)
    xs = jnp.asarray(rng.normal(size=(STEPS, BATCH, cell.input_size)))
    carry = cell.initialize_carry((BATCH, cell.input_size))
    carry = jax.tree.map(lambda leaf: leaf + 0.3 * rng.normal(size=leaf.shape), carry)
    graphdef, params, rest = nnx.split(cell, nnx.Param, ...)

    def program(scan: Scan, options: dict[str, Any]) -> Callable[..., Any]:
        def loss(params, carry, xs):
            cell = nnx.merge(graphdef, params, rest)
            last, ys, states, _ = run_all(cell, carry, xs, scan=scan, **options)
            out = outcome(last, ys) | by_name({"states": states})
            return sum((leaf * jnp.cos(leaf)).sum().real for leaf in out.values()), out

        return jax.value_and_grad(loss, (0, 1, 2), has_aux=True)

    def compare(options: dict[str, Any], fix: str) -> Callable[[], None]:
        def check() -> None:
            results = [compiled(program(s, options))(params, carry, xs) for s in (scan, PLAIN)]
            ((_, got), gradients), ((_, wanted), exact) = results
            agree(got, wanted, "", fix, 1e-10)
            agree(_gradients(gradients), _gradients(exact), "", fix, 1e-8)

        return check

    for case in CASES:
        yield case.name, compare(case.options, case.fix), case.fix
    yield "noise", compare({"key": jax.random.key(seed)}, NOISE), NOISE
    traces = []

    def check_jit() -> None:
        def run(params, carry, xs):
            traces.append(0)
            return program(scan, {})(params, carry, xs)

        jitted = compiled(run)
        (_, got), _ = jitted(params, carry, xs)
        jitted(params, carry, xs + 1)
        agree(got, program(PLAIN, {})(params, carry, xs)[0][1], "under jax.jit", JIT, 1e-10)
        if len(traces) > 1:
            raise Wrong("a second compilation", JIT)

    yield "jit", check_jit, JIT


NOISE = "pass inputs.noise of every step, and constants.noise, to advance"
JIT = "compute from the arguments alone, and compare equal after a copy"
