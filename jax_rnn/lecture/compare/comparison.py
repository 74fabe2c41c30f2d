"""The result of a comparison: plain data, the same in Python and in JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from jax_rnn.base.storage import write_text
from jax_rnn.testing import Rung

__all__ = ["DISTRIBUTIONS", "Comparison", "counted", "title_of", "write_json"]

TITLES = {"jax": "JAX", "torch": "PyTorch"}

DISTRIBUTIONS = {"torch": "torch.nn", "flax": "Flax"}
"""Value of ``init`` -> whose distribution of initial weights it is."""


def title_of(framework: str) -> str:
    """The name of a framework in tables."""
    return TITLES.get(framework, framework)


def counted(count: int, unit: str) -> str:
    """``1 step`` or ``2 steps``."""
    return f"{count} {unit}{'s' * (count != 1)}"


@dataclass(frozen=True)
class Comparison:
    """One lesson from one set of initial weights in two frameworks.

    Fields of the form ``{"jax": ..., "torch": ...}`` hold one value per framework. Lists of losses
    have one entry per optimizer step; they are empty if the lesson does not train.

    Attributes:
        lesson, preset: the compared lesson and preset; None is the lesson's own.
        dtype: data type of weights, inputs and losses in both, ``"float32"`` or ``"float64"``.
        seed: seed of the second framework, which draws the initial weights for both.
        steps: number of optimizer steps; an epoch of a lesson on a word or a sentence is one step.
        recipe: the hyperparameters of both.
        dropout: the rate of the preset; both ran with 0, since their masks differ.
        target: the string to learn; None if there is none.
        loss: ``{"jax": [...], "torch": [...]}``.
        predictions: ``{"jax": [...], "torch": [...]}``, strings; empty lists without a target.
        max_abs_loss_difference: over all steps; None if the lesson does not train.
        max_abs_gradient_difference: over all parameters, at the initial weights; likewise.
        max_abs_weight_difference: over all parameters, after the last step; likewise.
        predictions_equal: number of steps at which both predict the same string.
        figures: ``{"jax": {...}, "torch": {...}}``, held-out figures after the last step; empty if
            no data is held out.
        max_abs_figure_difference: over all figures; None if there are none.
        shapes: ``{"input" | "output" | "hidden": {"jax": [...], "torch": [...]}}``, a list of
            shapes, since a model may take several arrays and its state may have several parts.
        max_abs_value_difference: ``{"output": ..., "hidden": ...}`` at the initial weights.
        seconds: ``{"jax": {"import", "compile", "run", "evaluate"}, "torch": {"import", "run",
            "evaluate"}}``; an import is None if the framework was already loaded. ``"evaluate"``
            includes compilation.
        environment: versions, device, processor.
        rungs: rungs of the parity ladder (see ``jax_rnn.testing.check_parity``), from the initial
            weights, up to the first that fails.
    """

    lesson: str
    preset: str | None
    dtype: str
    seed: int
    steps: int
    recipe: dict[str, Any]
    dropout: float
    target: str | None
    loss: dict[str, list[float]]
    predictions: dict[str, list[str]]
    max_abs_loss_difference: float | None
    max_abs_gradient_difference: float | None
    max_abs_weight_difference: float | None
    predictions_equal: int
    figures: dict[str, dict[str, float]]
    max_abs_figure_difference: float | None
    shapes: dict[str, dict[str, list[tuple[int, ...]]]]
    max_abs_value_difference: dict[str, float]
    seconds: dict[str, dict[str, float | None]]
    environment: dict[str, str]
    rungs: list[Rung] = field(default_factory=list)

    @property
    def title(self) -> str:
        return self.lesson if self.preset is None else f"{self.lesson} ({self.preset})"

    @property
    def frameworks(self) -> tuple[str, ...]:
        """Names of both frameworks."""
        return tuple(self.loss)

    @property
    def unit(self) -> str:
        """What a step is called."""
        return "step" if self.target is None else "epoch"

    @property
    def length(self) -> str:
        """The number of steps with its unit."""
        return counted(self.steps, self.unit)


def write_json(path: Path, results: Sequence[Any]) -> None:
    """Write one result as an object, several as a list of objects."""
    data = [asdict(result) for result in results]
    write_text(path, json.dumps(data[0] if len(data) == 1 else data, indent=2) + "\n")
