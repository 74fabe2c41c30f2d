"""What a training run tells when it is over, or when it had to stop."""

from typing import Any, NamedTuple

import numpy as np

__all__ = ["History", "InterruptedRunError", "NonFiniteLossError"]


class History(NamedTuple):
    """What every step reported, as NumPy arrays; entry k is of the parameters before step k + 1.

    A run that went on from a checkpoint tells of the steps since then; its folder has them all.

    Attributes:
        loss: (steps,), or (seeds, steps).
        metrics: the pytree that the loss function returned, with the same leading axes.
        compile_seconds, run_seconds: how long the compiler and the program took.
        evaluations: one dict a look at the held-out data, ``"step"`` and its figures.
    """

    loss: np.ndarray
    metrics: Any
    compile_seconds: float
    run_seconds: float
    evaluations: tuple[dict[str, float], ...] = ()


class NonFiniteLossError(FloatingPointError):
    """A loss was NaN or infinite. ``step`` counts from 1; ``history`` ends with that step."""

    def __init__(self, step: int, loss: float, history: History, kept: str):
        super().__init__(
            f"the loss at step {step} is {loss}: training stopped there and {kept}. "
            "A smaller learning rate, gradient clipping (optax.clip_by_global_norm) or a look at "
            "the inputs for NaN are what usually helps."
        )
        self.step = step
        self.loss = loss
        self.history = history


class InterruptedRunError(KeyboardInterrupt):
    """Somebody asked the run to stop (Ctrl-C, SIGTERM); it saved and stopped. ``step`` is where."""

    def __init__(self, step: int, folder: object, go_on: str):
        super().__init__(
            f"stopped after step {step}, which is saved in {folder}; to go on: {go_on}"
        )
        self.step = step
