"""The exam that every cell sits: ``check_cell``."""

from collections.abc import Collection

import flax.errors
import jax

from jax_rnn.cells.base import Cell
from jax_rnn.testing.candidate import Candidate, Wrong
from jax_rnn.testing.questions import QUESTIONS, Question

__all__ = ["CellExamError", "check_cell"]


class CellExamError(AssertionError):
    """A cell failed. The message says which question, what was seen, and how to mend it.

    Attributes:
        failed: names of the questions that the cell failed.
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
) -> list[str]:
    """Examine a cell: does it keep the contract of ``Cell``, so that it works wherever cells work?

    The questions, in this order:

    | name | what is expected |
    | --- | --- |
    | contract | sizes, carry and outputs are as ``Cell`` says; a step returns a like carry |
    | purity | a call changes nothing in the cell, and a second one gives the same |
    | trace | a step runs under ``jax.jit``, gives the plain value and writes nothing |
    | dtypes | outputs and carry stay in the cell's own dtype, whichever it is |
    | project | on all steps at once it equals one step at a time |
    | scan | equals one step after another |
    | resume | stopping in mid-sequence and going on equals one run |
    | reverse | a scan from the end equals a scan of the flipped sequence |
    | rows | other rows of the batch change nothing; any number of batch axes gives the same |
    | compile | a second run at the same shapes compiles nothing |
    | gradients | equal finite differences, for weights, carry and inputs |
    | fast_scan | the gated scan, where it supports the cell, equals the plain one, gradients too |
    | padding | masked steps, holding NaN, reach no value and no gradient, nor in ``Recurrent`` |
    | transforms | vmap and grad of single rows equal the batch |
    | checkpoint | ``jax.checkpoint`` of the step leaves values and gradients as they are |
    | nnx_rnn | ``flax.nnx.RNN(cell)`` gives the same |
    | saving | a state dict, loaded into another cell, makes it the same bit for bit |

    All but ``dtypes`` are asked of a copy in float64, on random inputs and a random carry; the cell
    itself stays as it is. Small cells whose sizes differ (I != H) are the best candidates: mistaken
    axes show, and the exam takes seconds.

    Args:
        cell: of any kind.
        batch: rows of the random inputs; by default a small size that no feature axis has.
        steps: of the random inputs, at least 2; by default likewise.
        seed: of the random inputs.
        skip: names of questions to leave out, e.g. ``"gradients"`` for a straight-through estimator
            whose derivative differs on purpose.
        stop: whether to stop at the first wrong answer; otherwise all of them are reported, unless
            one of the first three is among them.

    Returns:
        The names of the questions that the cell answered.

    Raises:
        CellExamError: the cell failed. TypeError: no ``Cell``. ValueError: an unknown question, a
            size too small.
    """
    _check_arguments(cell, batch, steps, skip)
    answered, faults = [], {}
    with jax.enable_x64(True), jax.debug_nans(False):
        candidate = Candidate(cell, batch, steps, seed)
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
        raise ValueError(f"check_cell: expected skip to be a list out of {names}, got {skip!r}")
    for name, value, least in (("batch", batch, 1), ("steps", steps, 2)):
        if value is not None and value < least:
            raise ValueError(f"check_cell: expected {name} to be at least {least}, got {value}")


def _message(cell: Cell, question: Question, error: Exception) -> str:
    if isinstance(error, Wrong):
        got, mend = error.got, error.mend
    else:
        got = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        mend = next((m for kinds, m in _ADVICE if isinstance(error, kinds)), question.mend)
    return f"{type(cell).__name__}, {question.name}: expected {question.expects}, got {got}; {mend}"


_ADVICE = (
    (
        (
            jax.errors.ConcretizationTypeError,
            jax.errors.TracerArrayConversionError,
            jax.errors.TracerIntegerConversionError,
            jax.errors.NonConcreteBooleanIndexError,
        ),
        "use jnp.where or lax.cond in place of `if`, jnp in place of np, and no float(), int() or "
        ".item(): under jax.jit an array has a shape and no values yet",
    ),
    (
        (jax.errors.UnexpectedTracerError, flax.errors.TraceContextError),
        "let step write nothing, neither to the cell nor to anything outside: what it remembers "
        "belongs in the carry",
    ),
)
"""Errors of JAX and Flax that say the same wherever they come up."""
