"""Compare one lesson in two frameworks, from the same weights."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import numpy as np

from jax_rnn.base.environment import environment
from jax_rnn.base.errors import ArgumentError
from jax_rnn.data.dataset import Data
from jax_rnn.lecture.compare.comparison import Comparison
from jax_rnn.lecture.compare.frameworks import import_seconds, torch_on_one_thread
from jax_rnn.lecture.compare.jax_lesson import JaxLesson
from jax_rnn.lecture.compare.side import LessonSide, MakeSide, Setup, Step
from jax_rnn.lecture.compare.torch_lesson import TorchLesson
from jax_rnn.lecture.lessons import load
from jax_rnn.lecture.teaching.lesson import Lesson
from jax_rnn.testing.ladder import Climb, ParityError, climb_sides

__all__ = ["StepPair", "compare", "steps_of"]

SOME_STEPS = 50
"""Default number of steps of a lesson on a data set."""


class StepPair(NamedTuple):
    """One optimizer step in both frameworks."""

    step: int
    loss: tuple[float, float]
    prediction: tuple[str | None, str | None] = (None, None)


def compare(
    name: str,
    preset: str | None = None,
    *,
    seed: int = 0,
    steps: int | None = None,
    dtype: Literal["float32", "float64"] = "float32",
    recipe: Any = None,
    text: Path | None = None,
    on_step: Callable[[StepPair], None] = lambda pair: None,
    sides: tuple[MakeSide, MakeSide] = (JaxLesson, TorchLesson),
) -> Comparison:
    """Run a lesson in JAX and in PyTorch from the weights that torch draws with ``seed``.

    Args:
        name, preset: names of the lesson and of its hyperparameters.
        seed: seed of the initial weights.
        steps: number of optimizer steps; None is 50 for a lesson on a data set and all for others.
        dtype: data type of weights, inputs and computation in both frameworks.
        recipe: hyperparameters instead of the preset's. Dropout is set to 0.
        text: text to train on, if the lesson accepts one.
        on_step: called after every step of the second framework, which trains after the first.
        sides: the frameworks. The second draws the weights.

    Raises:
        UnknownLessonError, ValueError: no such lesson or preset; an unknown dtype, fewer than one
            step, or an unsupported text.
        ParityError: the parameters of the two models differ in names or shapes.
        ModuleNotFoundError: torch is not installed.
    """
    if dtype not in ("float32", "float64"):
        raise ArgumentError("dtype", f"expected float32 or float64, got {dtype!r}")
    lesson = load(name)
    wanted = lesson.preset(preset) if recipe is None else recipe
    count = steps_of(lesson, wanted, steps)
    lesson.check_text(text)
    used = _without_dropout(wanted, dtype, count)
    seconds = {framework: import_seconds(framework) for framework in ("jax", "torch")}
    with (
        jax.enable_x64(dtype == "float64"),
        jax.default_matmul_precision("highest"),  # with TF32 on a GPU the two would differ by 1e-3
        nullcontext() if lesson.holds_out else torch_on_one_thread(),
    ):
        data = lesson.read(used, text) if lesson.trained else Data({}, {}, {})
        ours, theirs = (make(Setup(name, used, data, seed)) for make in sides)
        climb = climb_sides(ours, theirs, dtype=dtype)
        if not climb.passes:
            raise ParityError(climb.rungs)
        both = _Both(ours, theirs)
        return Comparison(
            lesson=name,
            preset=preset,
            dtype=dtype,
            seed=seed,
            steps=count,
            recipe=asdict(used),
            dropout=wanted.dropout,
            **_before(both, climb, trained=lesson.trained),
            **_training(both, count, lesson, on_step),
            **_evaluation(both, held_out=lesson.trained and lesson.holds_out),
            seconds={
                side.framework: {"import": seconds.get(side.framework)} | side.seconds
                for side in both
            },
            environment=environment(),
            rungs=climb.rungs,
        )


class _Both(NamedTuple):
    ours: LessonSide
    theirs: LessonSide

    def named(self, values: Sequence[Any]) -> dict[str, Any]:
        """A value per framework."""
        return {side.framework: value for side, value in zip(self, values, strict=True)}


def steps_of(lesson: Lesson, recipe: Any, steps: int | None) -> int:
    """The number of steps. ValueError: fewer than one, or steps of a lesson that has none."""
    if not lesson.trained:
        if steps is not None:
            reason = f"{lesson.name} does not train"
            raise ArgumentError("steps", f"expected none, since {reason}, got {steps}")
        return 0
    if steps is None:
        return min(recipe.steps, SOME_STEPS) if lesson.holds_out else recipe.steps
    if steps < 1:
        raise ArgumentError("steps", f"expected at least 1, got {steps}")
    return steps


def _without_dropout(recipe: Any, dtype: str, steps: int) -> Any:
    changes: dict[str, Any] = {"dtype": dtype, "steps": max(recipe.steps, steps)}
    if "dropout" in {field.name for field in fields(recipe)}:
        changes["dropout"] = 0.0
    return replace(recipe, **changes)


def _before(both: _Both, climb: Climb, *, trained: bool) -> dict[str, Any]:
    """Shapes and differences at the initial weights."""
    results = [found.results for found in climb.passes]
    ours, theirs = results
    gradients = [side.loss_gradients() for side in both] if trained else []
    return {
        "shapes": {
            "input": both.named([_shapes(side.arguments) for side in both]),
            "output": both.named([_shapes(found[:1]) for found in results]),
            "hidden": both.named([_shapes(found[1:]) for found in results]),
        },
        "max_abs_value_difference": {
            "output": _gap(ours[:1], theirs[:1]),
            "hidden": _gap(ours[1:], theirs[1:]),
        },
        "max_abs_gradient_difference": _gap_by_name(*gradients) if trained else None,
    }


def _training(
    both: _Both, count: int, lesson: Lesson, on_step: Callable[[StepPair], None]
) -> dict[str, Any]:
    """Losses and strings of both, and how far they differ."""
    done: tuple[list[Step], list[Step]] = [], []
    if count:
        done[0].extend(both.ours.train(count))
        for number, (a, b) in enumerate(zip(done[0], both.theirs.train(count), strict=True), 1):
            done[1].append(b)
            on_step(StepPair(number, (a.loss, b.loss), (a.prediction, b.prediction)))
    loss = [[step.loss for step in steps] for steps in done]
    texts = [[s.prediction for s in steps if s.prediction is not None] for steps in done]
    weights = [side.weights() for side in both]
    return {
        "target": lesson.facts.target,
        "loss": both.named(loss),
        "predictions": both.named(texts),
        "predictions_equal": sum(a == b for a, b in zip(*texts, strict=True)),
        "max_abs_loss_difference": _gap(*([np.array(part)] for part in loss)) if count else None,
        "max_abs_weight_difference": _gap_by_name(*weights) if count else None,
    }


def _evaluation(both: _Both, *, held_out: bool) -> dict[str, Any]:
    """Held-out figures of both, and how far they differ."""
    figures: list[dict[str, float]] = []
    for side in both if held_out else ():
        start = time.perf_counter()
        figures.append({name: float(value) for name, value in side.evaluate().items()})
        side.seconds["evaluate"] = time.perf_counter() - start
    return {
        "figures": both.named(figures or [{}, {}]),
        "max_abs_figure_difference": _gap_by_name(*figures) if held_out else None,
    }


def _shapes(values: Sequence[Any]) -> list[tuple[int, ...]]:
    """Shapes of the arrays; a state in a tuple does not count."""
    return [value.shape for value in values if hasattr(value, "shape")]


def _gap(ours: Sequence[Any], theirs: Sequence[Any]) -> float:
    """The largest difference; infinite for different shapes and for NaN."""
    if [np.shape(a) for a in ours] != [np.shape(b) for b in theirs]:
        return float("inf")
    gaps = [np.abs(np.subtract(a, b)) for a, b in zip(ours, theirs, strict=True)]
    return float(max((np.where(np.isnan(g), np.inf, g).max(initial=0.0) for g in gaps), default=0))


def _gap_by_name(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> float:
    if ours.keys() != theirs.keys():
        return float("inf")
    names = sorted(ours)
    return _gap([ours[name] for name in names], [theirs[name] for name in names])
