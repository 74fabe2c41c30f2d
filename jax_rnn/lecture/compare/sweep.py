"""Train one lesson with many seeds and collect how many succeed, and when."""

import math
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from flax import nnx

from jax_rnn.base.progress import progress_bar
from jax_rnn.data.dataset import Data
from jax_rnn.interop.state_dict import torch_state_dict
from jax_rnn.lecture.compare.frameworks import import_seconds, torch_on_one_thread
from jax_rnn.lecture.teaching.lesson import Lesson
from jax_rnn.lecture.teaching.training import precision
from jax_rnn.train.seeds import figures_of

__all__ = ["Sweep", "interval", "spread", "summarise", "sweep_jax", "sweep_torch"]

InitName = Literal["torch", "flax"]


@dataclass(frozen=True)
class Sweep:
    """Many runs of one lesson. Epochs count from 1; None means "never".

    The fields about letters are None, and the lists empty, in a lesson on a data set.

    Attributes:
        lesson, preset, framework, init: the arguments of the sweep.
        seeds: number of runs, with seeds from 0.
        steps: number of optimizer steps per run.
        ever: number of runs with all letters correct at some epoch.
        at_end: number of runs with all letters correct at the last epoch.
        median_first_epoch: median of the first correct epoch, over the runs that have one.
        median_stable_epoch: median of the epoch from which all letters stay correct, likewise.
        loss: ``{"min", "median", "max"}`` of the losses at the last step.
        seconds: time of all runs, including compilation.
        first_epoch, stable_from, final_loss: one entry per run.
        figures: one entry per run of each figure: the accuracy at the last epoch, or the held-out
            figures after the last step.
    """

    lesson: str
    preset: str | None
    framework: Literal["jax", "torch"]
    init: str
    seeds: int
    steps: int
    ever: int | None
    at_end: int | None
    median_first_epoch: float | None
    median_stable_epoch: float | None
    loss: dict[str, float]
    seconds: float
    first_epoch: list[int | None]
    stable_from: list[int | None]
    final_loss: list[float]
    figures: dict[str, list[float]]

    @property
    def title(self) -> str:
        return self.lesson if self.preset is None else f"{self.lesson} ({self.preset})"


def sweep_jax(
    lesson: Lesson,
    seeds: int,
    preset: str | None = None,
    *,
    recipe: Any = None,
    text: Path | None = None,
    init: InitName = "torch",
    seeds_per_call: int | None = None,
) -> Sweep:
    """Train many seeds at once in one compiled program. Arguments: those of ``Lesson.sweep``."""
    recipe = recipe or lesson.preset(preset)
    start = time.perf_counter()
    with precision(recipe):
        history = lesson.sweep(
            seeds, recipe=recipe, text=text, init=init, seeds_per_call=seeds_per_call
        )
    exact = None if lesson.holds_out else history.metrics["exact"]
    return summarise(
        lesson,
        preset,
        framework="jax",
        init=init,
        loss=history.loss,
        exact=exact,
        figures=_figures(history.evaluations) or {"accuracy": history.metrics["accuracy"][:, -1]},
        seconds=time.perf_counter() - start,
    )


def sweep_torch(
    lesson: Lesson,
    seeds: int,
    preset: str | None = None,
    *,
    recipe: Any = None,
    text: Path | None = None,
    init: InitName = "torch",
) -> Sweep:
    """Train one seed after another; the arguments are those of ``Lesson.sweep``.

    ``init="flax"`` uses the weights that Flax would draw.
    """
    recipe = recipe or lesson.preset(preset)
    lesson.check_text(text)
    data = lesson.read(recipe, text)
    loss, evaluations = np.zeros((seeds, recipe.steps)), []
    exact = None if lesson.holds_out else np.zeros(loss.shape, bool)
    bar = progress_bar(f"{lesson.name} in PyTorch, {seeds} seeds", seeds * recipe.steps)
    with bar as advance, ExitStack() as stack:
        import_seconds("torch")
        import reference_torch
        from reference_torch.teaching.training import train

        if not lesson.holds_out:
            stack.enter_context(torch_on_one_thread())
        theirs = reference_torch.load(lesson.name)
        start = time.perf_counter()
        for seed in range(seeds):
            seeded = replace(recipe, seed=seed)
            module = _module(lesson, theirs, seeded, data, init)
            right = np.zeros(1)
            for step, value, metrics in train(theirs, module, seeded, data):
                loss[seed, step - 1] = value
                if exact is not None:
                    right = metrics["prediction"] == data.train["labels"]
                    exact[seed, step - 1] = right.all()
                advance(1)
            module.eval()
            held_out = exact is None
            evaluations.append(
                figures_of(theirs.evaluate, module, data)
                if held_out
                else {"accuracy": right.mean()}
            )
    return summarise(
        lesson,
        preset,
        framework="torch",
        init=init,
        loss=loss,
        exact=exact,
        figures=_figures(evaluations),
        seconds=time.perf_counter() - start,
    )


def _module(lesson: Lesson, theirs: Any, recipe: Any, data: Data, init: InitName) -> Any:
    """A torch model with initial weights from the seed of the recipe."""
    import torch

    torch.manual_seed(recipe.seed)
    module = theirs.build(recipe, data.vocabulary)
    if init == "flax":
        drawn = torch_state_dict(
            lesson.build(recipe, data.vocabulary, init=init, rngs=nnx.Rngs(recipe.seed))
        )
        module.load_state_dict({k: torch.from_numpy(v.copy()) for k, v in drawn.items()})
    return module.double() if recipe.dtype == "float64" else module


def _figures(evaluations: Sequence[Mapping[str, float]]) -> dict[str, list[float]]:
    """One list per figure; NaN for a seed that has no such figure, since it diverged."""
    names = {name: None for figures in evaluations for name in figures if name != "seed"}
    return {name: [float(row.get(name, math.nan)) for row in evaluations] for name in names}


def interval(count: int, total: int) -> tuple[float, float]:
    """The 95 % confidence interval of a rate (Wilson's score interval).

    Args:
        count: number of runs that succeeded.
        total: number of all runs.
    """
    z = 1.959964
    rate, weight = count / total, z * z / total
    centre = (rate + weight / 2) / (1 + weight)
    half = z * math.sqrt(rate * (1 - rate) / total + weight / total / 4) / (1 + weight)
    return max(centre - half, 0.0), min(centre + half, 1.0)


def summarise(
    lesson: Lesson,
    preset: str | None,
    *,
    framework: Literal["jax", "torch"],
    init: str,
    loss: np.ndarray,
    exact: np.ndarray | None,
    figures: Mapping[str, Sequence[float] | np.ndarray],
    seconds: float,
) -> Sweep:
    """Rates and epochs.

    Args:
        lesson, preset, framework, init, seconds: see ``Sweep``.
        loss: losses (seeds, steps).
        exact: whether all letters are correct, (seeds, steps); None if there are no letters.
        figures: figures (seeds,) at the end.
    """
    seeds, steps = loss.shape
    final = loss[:, -1].astype(float)
    return Sweep(
        lesson=lesson.name,
        preset=preset,
        framework=framework,
        init=init,
        seeds=seeds,
        steps=steps,
        **_letters(exact),
        loss=spread(final),
        seconds=seconds,
        final_loss=final.tolist(),
        figures={name: [float(value) for value in values] for name, values in figures.items()},
    )


def spread(values: Sequence[float] | np.ndarray) -> dict[str, float]:
    """Minimum, median and maximum."""
    found = {"min": np.min(values), "median": np.median(values), "max": np.max(values)}
    return {name: float(value) for name, value in found.items()}


def _letters(exact: np.ndarray | None) -> dict[str, Any]:
    """The fields about letters."""
    if exact is None:
        names = "ever", "at_end", "median_first_epoch", "median_stable_epoch"
        return {"first_epoch": [], "stable_from": []} | dict.fromkeys(names)
    epochs = exact.shape[1]
    ever, at_end = exact.any(1), exact[:, -1]
    first = np.where(ever, exact.argmax(1) + 1, 0)
    last_wrong = np.where(exact.all(1), 0, epochs - (~exact[:, ::-1]).argmax(1))
    stable = np.where(at_end, last_wrong + 1, 0)
    return {
        "ever": int(ever.sum()),
        "at_end": int(at_end.sum()),
        "median_first_epoch": _median(first),
        "median_stable_epoch": _median(stable),
        "first_epoch": [int(epoch) or None for epoch in first],
        "stable_from": [int(epoch) or None for epoch in stable],
    }


def _median(epochs: np.ndarray) -> float | None:
    reached = epochs[epochs > 0]
    return float(np.median(reached)) if reached.size else None
