"""The result of a comparison: plain data, the same in Python and in JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from jax_rnn.testing import Rung

__all__ = ["Comparison", "write_json"]


@dataclass(frozen=True)
class Comparison:
    """One lesson from one set of initial weights in both frameworks.

    Fields of the form ``{"jax": ..., "torch": ...}`` hold one value per framework. Lists of losses
    and predictions have one entry per epoch; they are empty if the lesson does not train.

    Attributes:
        lesson, variant: the compared lesson and variant; None is the lesson's own model.
        dtype: data type of weights, inputs and losses in both, ``"float32"`` or ``"float64"``.
        seed: seed of torch, which draws the initial weights for both.
        epochs: number of optimizer steps.
        target: the string to learn; None if the lesson does not train.
        loss: ``{"jax": [...], "torch": [...]}``.
        predictions: ``{"jax": [...], "torch": [...]}``, strings.
        max_abs_loss_difference: over all epochs; None if the lesson does not train.
        max_abs_gradient_difference: over all parameters, at the initial weights.
        max_abs_weight_difference: over all parameters, after the last epoch.
        predictions_equal: number of epochs at which both predict the same string.
        shapes: ``{"input" | "output" | "hidden": {"jax": [...], "torch": [...]}}``, a list of
            shapes, since a hidden state may have several parts.
        max_abs_value_difference: ``{"output": ..., "hidden": ...}`` at the initial weights.
        seconds: ``{"jax": {"import", "compile", "run"}, "torch": {"import", "run"}}``; an import is
            None if the framework was already loaded.
        environment: versions, device, processor.
        rungs: rungs of the parity ladder (see ``jax_rnn.testing.check_parity``), from the initial
            weights, up to the first that fails.
    """

    lesson: str
    variant: str | None
    dtype: str
    seed: int
    epochs: int
    target: str | None
    loss: dict[str, list[float]]
    predictions: dict[str, list[str]]
    max_abs_loss_difference: float | None
    max_abs_gradient_difference: float | None
    max_abs_weight_difference: float | None
    predictions_equal: int
    shapes: dict[str, dict[str, list[tuple[int, ...]]]]
    max_abs_value_difference: dict[str, float]
    seconds: dict[str, dict[str, float | None]]
    environment: dict[str, str]
    rungs: list[Rung] = field(default_factory=list)

    @property
    def title(self) -> str:
        return self.lesson if self.variant is None else f"{self.lesson} ({self.variant})"


def write_json(path: Path, results: Sequence[Any]) -> None:
    """Write one result as an object, several as a list of objects."""
    data = [asdict(result) for result in results]
    path.write_text(json.dumps(data[0] if len(data) == 1 else data, indent=2) + "\n")
