"""The result of a training run, and the errors that end it early."""

from typing import Any, NamedTuple

import numpy as np

__all__ = ["DivergedError", "History", "InterruptedRunError", "NonFiniteLossError"]


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
        self.problem = f"the loss at step {step} is {loss}: training stopped and {kept}"
        super().__init__(
            f"{self.problem}. A smaller learning rate or gradient clipping "
            "(optax.clip_by_global_norm) usually helps; check the inputs for NaN too."
        )
        self.step = step
        self.loss = loss
        self.history = history


class DivergedError(FloatingPointError):
    """An evaluation after ``step`` overflowed, since the loss is finite but too large.

    ``problem`` is the message without the remedy.
    """

    def __init__(self, step: int, error: ArithmeticError):
        self.problem = (
            f"the evaluation after step {step} failed ({error}): the held-out loss is too large, "
            "so training has diverged"
        )
        super().__init__(
            f"{self.problem}. A smaller learning rate, warm-up or gradient clipping "
            "(optax.clip_by_global_norm) usually helps."
        )
        self.step = step


class InterruptedRunError(KeyboardInterrupt):
    """The run was asked to stop (Ctrl-C, SIGTERM) and saved; ``step`` is its last step."""

    def __init__(self, step: int, folder: object, resume: str):
        super().__init__(
            f"stopped after step {step}, which is saved in {folder}; to resume: {resume}"
        )
        self.step = step
