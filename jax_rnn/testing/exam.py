"""``check_cell``: checks that every cell must pass."""

from collections.abc import Collection
from typing import Any

import flax.errors
import jax

from jax_rnn.cells.base import Cell
from jax_rnn.testing.candidate import Candidate, Wrong
from jax_rnn.testing.questions import QUESTIONS, Question

__all__ = ["CellExamError", "check_cell"]


class CellExamError(AssertionError):
    """A cell failed. The message states the check, the result and the fix.

    Attributes:
        failed: names of the checks that failed.
    """

    def __init__(self, message: str, failed: tuple[str, ...]):
        super().__init__(message)
        self.failed = failed


def check_cell(
    cell: Cell,
    *,
    batch: int | None = None,
    steps: int | None = None,
    seed: int = 0,
    skip: Collection[str] = (),
    stop: bool = True,
    context: Any = None,
) -> list[str]:
    """Check that a cell fulfils the contract of ``Cell``, so that it works in all layers and scans.

    The checks, in this order:

    | name | expected |
    | --- | --- |
    | contract | sizes, carry and outputs follow the contract; a step keeps the carry's form |
    | purity | a call does not change the cell, and a second call returns the same |
    | trace | a step under ``jax.jit`` returns the same values and has no side effects |
    | dtypes | outputs and carry have the dtype of the cell, for every dtype |
    | project | all steps at once equal one step at a time |
    | scan | equals a Python loop over the steps |
    | resume | two runs, the second from the carry of the first, equal one run |
    | reverse | a reverse scan equals a scan of the flipped sequence |
    | rows | rows of the batch are independent, for any number of batch axes |
    | compile | a second run with the same shapes does not compile |
    | gradients | equal finite differences, for weights, carry and inputs |
    | scans | every scan that supports the cell equals the sequential one |
    | resets | a reset in mid-sequence equals a run from the initial carry |
    | streaming | steps one by one, and the states of ``return_states``, equal a run |
    | noise | the same key gives the same random numbers under every scan and step by step |
    | symbolic | a program for any batch size and length can be exported |
    | padding | masked steps that contain NaN affect no value and no gradient |
    | transforms | vmap and grad of single rows equal the batch |
    | checkpoint | ``jax.checkpoint`` of the step does not change values and gradients |
    | nnx_rnn | ``flax.nnx.RNN(cell)`` returns the same |
    | saving | a state dict, loaded into another cell, makes the cells equal bit for bit |

    All checks except ``dtypes`` use a copy in float64, random inputs and a random carry; the cell
    itself is not changed. Use a small cell with different sizes (I != H): then mixed up axes are
    found, and the checks take seconds.

    A cell that could run on a faster scan, but for one property that an author can change, gives a
    warning with the reason, see ``Recurrent.chosen_scans``.

    Args:
        cell: the cell, of any kind.
        batch: number of rows of the random inputs; default: a small size that no feature axis has.
        steps: number of steps of the random inputs, at least 2; default: another such size.
        seed: seed of the random inputs.
        skip: names of checks to skip, e.g. ``"gradients"`` for a straight-through estimator.
        stop: whether to stop at the first failed check; otherwise all are reported, unless one of
            the first three fails.
        context: what the cell reads as ``context``, a tree of arrays (batch, ...); it sets
            ``batch``.

    Returns:
        The names of the checks that passed.

    Raises:
        CellExamError: the cell failed. TypeError: not a ``Cell``. ValueError: an unknown check, or
            a size too small.
    """
    _check_arguments(cell, batch, steps, skip)
    if context is not None and batch is None:
        batch = jax.tree.leaves(context)[0].shape[0]
    answered, faults = [], {}
    with jax.enable_x64(True), jax.debug_nans(False):
        candidate = Candidate(cell, batch, steps, seed, context)
        for question in QUESTIONS:
            if question.name in skip:
                continue
            try:
                question.ask(candidate)
            except Exception as error:
                faults[question.name] = error
                if stop or question.needed:
                    break
            else:
                answered.append(question.name)
    if faults:
        message = "\n".join(
            _message(cell, question, faults[question.name])
            for question in QUESTIONS
            if question.name in faults
        )
        raise CellExamError(message, tuple(faults)) from next(iter(faults.values()))
    return answered


def _check_arguments(
    cell: Cell, batch: int | None, steps: int | None, skip: Collection[str]
) -> None:
    if not isinstance(cell, Cell):
        raise TypeError(
            f"check_cell: expected an instance of jax_rnn.Cell, got {cell!r}; "
            "derive a class from Cell or GatedCell, and pass an instance of it"
        )
    names = [question.name for question in QUESTIONS]
    if isinstance(skip, str) or not set(skip) <= set(names):
        raise ValueError(
            f"check_cell: expected skip to be a list of names among {names}, got {skip!r}"
        )
    for name, value, least in (("batch", batch, 1), ("steps", steps, 2)):
        if value is not None and value < least:
            raise ValueError(f"check_cell: expected {name} to be at least {least}, got {value}")


def _message(cell: Cell, question: Question, error: Exception) -> str:
    if isinstance(error, Wrong):
        got, fix = error.got, error.fix
    else:
        got = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        fix = next((m for kinds, m in _ADVICE if isinstance(error, kinds)), question.fix)
    return f"{type(cell).__name__}, {question.name}: expected {question.expects}, got {got}; {fix}"


_ADVICE = (
    (
        (
            jax.errors.ConcretizationTypeError,
            jax.errors.TracerArrayConversionError,
            jax.errors.TracerIntegerConversionError,
            jax.errors.NonConcreteBooleanIndexError,
        ),
        "use jnp.where or lax.cond instead of `if`, jnp instead of np, and no float(), int() or "
        ".item(): under jax.jit the values of an array are not known",
    ),
    (
        (jax.errors.UnexpectedTracerError, flax.errors.TraceContextError),
        "do not write to the cell or to other objects in step; keep its state in the carry",
    ),
)
"""Errors of JAX and Flax and their fixes, independent of the check."""
