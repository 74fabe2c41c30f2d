"""The results of a training: losses, held-out figures, and the errors that end it early."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from jax_rnn.base.errors import ArgumentError, ArgumentTypeError

__all__ = ["DivergedError", "Evaluations", "History", "InterruptedRunError", "NonFiniteLossError"]

PREFIX = "held_out_"
"""Prefix of the names of held-out figures in the log of a run."""

ADVICE = "A smaller learning rate or gradient clipping (optax.clip_by_global_norm) usually helps"


class History(NamedTuple):
    """Losses and metrics of every step, as NumPy arrays; entry k is from before step k + 1.

    A resumed run has the steps since the resumption here, and all steps in its folder.

    Attributes:
        loss: (steps,), or (seeds, steps).
        metrics: the pytree that the loss function returned, with the same leading axes.
        compile_seconds, run_seconds: time of the compiler and of the program.
        evaluations: one dict per evaluation, ``"step"`` and its figures.
    """

    loss: np.ndarray
    metrics: Any
    compile_seconds: float
    run_seconds: float
    evaluations: tuple[dict[str, float], ...] = ()


class NonFiniteLossError(FloatingPointError):
    """A loss was NaN or infinite. ``step`` counts from 1; ``history`` ends with that step.

    ``problem`` is the message without the remedy.
    """

    def __init__(self, step: int, loss: float, history: History, kept: str):
        self.problem = f"the loss at step {step} is {loss}: training stopped; {kept}"
        super().__init__(f"{self.problem}. {ADVICE}; check the inputs for NaN too.")
        self.step, self.loss, self.history = step, loss, history


class DivergedError(FloatingPointError):
    """An evaluation after ``step`` overflowed, since the loss is finite but too large.

    ``problem`` is the message without the remedy.
    """

    def __init__(self, step: int, error: ArithmeticError):
        self.problem = f"the evaluation after step {step} failed ({error}): training has diverged"
        super().__init__(f"{self.problem}. {ADVICE}.")
        self.step = step


class InterruptedRunError(KeyboardInterrupt):
    """The run was asked to stop (Ctrl-C, SIGTERM) and saved; ``step`` is its last step."""

    def __init__(self, step: int, folder: object, resume: str):
        super().__init__(
            f"stopped after step {step}; the run is saved in {folder}; to resume: {resume}"
        )
        self.step = step


class Evaluations:
    """One row per evaluation: ``"step"`` and its figures.

    Args:
        patience: evaluations without a better figure after which training stops; None never stops
            it.
        monitor: name of the figure for ``patience`` and the best checkpoint.
        mode: whether the smallest or the largest figure is the best.
    """

    def __init__(self, patience: int | None, monitor: Any = "loss", mode: Any = "min"):
        if mode not in ("min", "max"):
            raise ArgumentError("mode", f"expected min or max, got {mode!r}")
        if not isinstance(monitor, str):
            raise ArgumentTypeError("monitor", f"expected the name of a figure, got {monitor!r}")
        self.patience, self.monitor, self.mode = patience, monitor, mode
        self.rows: list[dict[str, float]] = []

    def notes(self) -> dict[str, Any]:
        """What a checkpoint keeps of them: None in place of values that are not finite."""
        rows = [
            {k: value if math.isfinite(value) else None for k, value in row.items()}
            for row in self.rows
        ]
        return {"evaluations": rows, "monitor": [self.monitor, self.mode]}

    def recall(self, notes: Mapping[str, Any]) -> None:
        """Restore the rows of an earlier process from its ``notes``.

        Raises:
            ValueError: another figure was monitored. KeyError, TypeError: other notes.
        """
        for row in notes["evaluations"]:
            values = {k: math.nan if value is None else float(value) for k, value in row.items()}
            self.rows.append(values | {"step": int(row["step"])})
        monitor, mode = notes["monitor"]
        if (monitor, mode) != (self.monitor, self.mode):
            raise ArgumentError(
                "monitor",
                f"expected {monitor!r} and mode {mode!r} as in the run, got {self.monitor!r} and "
                f"{self.mode!r}",
            )

    def add(self, step: int, figures: Mapping[str, float]) -> dict[str, float]:
        """Store the figures; return them under their names in a record.

        Raises:
            ValueError: the monitored figure is missing, but needed.
        """
        plain = {name: float(value) for name, value in figures.items()}
        needed = self.patience is not None or self.monitor != "loss"
        if needed and self.monitor not in plain:
            raise ArgumentError(
                "evaluate",
                f"expected figures with {self.monitor!r}, which patience and the best checkpoint "
                f"use, got {', '.join(plain) or 'none'}; monitor= and mode= choose another",
            )
        self.rows.append({"step": step, **plain})
        return {f"{PREFIX}{name}": value for name, value in plain.items()}

    def at(self, step: int) -> dict[str, float]:
        """The figures after this step; empty if it was not evaluated."""
        row = next((row for row in reversed(self.rows) if row["step"] == step), {})
        return {name: value for name, value in row.items() if name != "step"}

    @property
    def exhausted(self) -> bool:
        """Whether ``patience`` evaluations have passed without a better figure."""
        if self.patience is None or not self.rows:
            return False
        sign = 1 if self.mode == "min" else -1
        values = [sign * row.get(self.monitor, math.nan) for row in self.rows]
        values = [math.inf if math.isnan(value) else value for value in values]
        return len(values) - 1 - values.index(min(values)) >= self.patience
