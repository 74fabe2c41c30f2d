"""The checks of ``check_cell``, cheap and fundamental ones first."""

from collections.abc import Callable
from typing import NamedTuple

from jax_rnn.testing.advice import FLAX, HASHABLE, LAST_AXIS, NAMED, NOISE, PURE, UPDATE
from jax_rnn.testing.candidate import Candidate
from jax_rnn.testing.contract import contract, dtypes
from jax_rnn.testing.interop import nnx_rnn, saving
from jax_rnn.testing.over_time import (
    loop,
    padding,
    project,
    resets,
    resume,
    reverse,
    rows,
    streaming,
)
from jax_rnn.testing.purity import one_compilation, purity, trace
from jax_rnn.testing.scans import noise, scans
from jax_rnn.testing.transforms import checkpoint, gradients, symbolic, transforms

__all__ = ["QUESTIONS", "Question"]


class Question(NamedTuple):
    """One check that every cell must pass.

    Attributes:
        name: short name.
        expects: the expected result, as it follows "expected" in the message.
        ask: function that raises ``Wrong``, or the error of the cell.
        fix: advice if the cell raises an error.
        needed: whether the following checks require this one.
    """

    name: str
    expects: str
    ask: Callable[[Candidate], None]
    fix: str
    needed: bool = False


QUESTIONS = (
    Question(
        "contract",
        "sizes, carry and outputs to follow the contract of jax_rnn.Cell",
        contract,
        "set input_size and hidden_size to the sizes of the weights, and write initialize_carry "
        "and step for arrays (*batch, features)",
        needed=True,
    ),
    Question(
        "purity",
        "a call not to change the cell, and a second call to return the same",
        purity,
        PURE,
        needed=True,
    ),
    Question(
        "trace",
        "a step under jax.jit to return the same values and to have no side effects",
        trace,
        PURE,
        needed=True,
    ),
    Question(
        "dtypes",
        "outputs and carry to have the dtype of the cell",
        dtypes,
        "take every dtype from the parameters",
    ),
    Question(
        "project",
        "project of all steps at once to equal project of each step",
        project,
        LAST_AXIS,
    ),
    Question("scan", "a scan to equal a Python loop over the steps", loop, PURE),
    Question(
        "resume",
        "two runs, the second from the carry of the first, to equal one run",
        resume,
        PURE,
    ),
    Question("reverse", "a reverse scan to equal a scan of the flipped inputs", reverse, PURE),
    Question("rows", "the rows of a batch to be independent", rows, LAST_AXIS),
    Question(
        "compile",
        "one compilation for all runs with the same shapes",
        one_compilation,
        HASHABLE,
    ),
    Question(
        "gradients",
        "gradients to equal finite differences",
        gradients,
        "make step differentiable in reverse mode: use lax.scan or fori_loop with a fixed number "
        "of iterations, no while_loop",
    ),
    Question(
        "scans",
        "every scan that supports the cell to equal the sequential one, also in gradients",
        scans,
        UPDATE,
    ),
    Question(
        "resets",
        "a reset in mid-sequence to equal a run from the initial carry",
        resets,
        PURE,
    ),
    Question(
        "streaming",
        "steps one by one, and the states of return_states, to equal a run",
        streaming,
        PURE,
    ),
    Question(
        "noise",
        "the same key to give the same random numbers under every scan and step by step",
        noise,
        NOISE,
    ),
    Question(
        "symbolic",
        "a program for any batch size and length to be exported",
        symbolic,
        "compute with x.shape only as sizes of new arrays, and do not compare them with numbers",
    ),
    Question(
        "padding",
        "masked steps that contain NaN to affect no value and no gradient",
        padding,
        LAST_AXIS,
    ),
    Question(
        "transforms", "vmap and grad of single rows to equal the batch", transforms, LAST_AXIS
    ),
    Question(
        "checkpoint",
        "jax.checkpoint of the step not to change values and gradients",
        checkpoint,
        PURE,
    ),
    Question("nnx_rnn", "flax.nnx.RNN(cell) to return the same", nnx_rnn, FLAX),
    Question(
        "saving",
        "a state dict, loaded into another cell, to make the cells equal bit for bit",
        saving,
        NAMED,
    ),
)
