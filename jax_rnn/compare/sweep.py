"""Train one lesson with many seeds and collect how many succeed, and when."""

import math
import time
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from flax import nnx

from jax_rnn.compare.frameworks import import_seconds, torch_on_one_thread
from jax_rnn.interop.state_dict import torch_state_dict
from jax_rnn.teaching.words import WordLesson
from jax_rnn.train.progress import progress_bar

__all__ = ["Sweep", "interval", "summarise", "sweep_jax", "sweep_torch"]

InitName = Literal["torch", "flax"]


@dataclass(frozen=True)
class Sweep:
    """Many runs of one lesson. Epochs count from 1; None means "never".

    Attributes:
        lesson, variant, framework, init: the arguments of the sweep.
        seeds: number of runs, with seeds from 0.
        epochs: number of optimizer steps per run.
        ever: number of runs with all letters correct at some epoch.
        at_end: number of runs with all letters correct at the last epoch.
        median_first_epoch: median of the first correct epoch, over the runs that have one.
        median_stable_epoch: median of the epoch from which all letters stay correct, likewise.
        loss: ``{"min", "median", "max"}`` of the losses at the last epoch.
        seconds: time of all runs, including compilation.
        first_epoch, stable_from, final_loss, final_accuracy: one entry per run.
    """

    lesson: str
    variant: str | None
    framework: Literal["jax", "torch"]
    init: str
    seeds: int
    epochs: int
    ever: int
    at_end: int
    median_first_epoch: float | None
    median_stable_epoch: float | None
    loss: dict[str, float]
    seconds: float
    first_epoch: list[int | None]
    stable_from: list[int | None]
    final_loss: list[float]
    final_accuracy: list[float]

    @property
    def title(self) -> str:
        return self.lesson if self.variant is None else f"{self.lesson} ({self.variant})"


def sweep_jax(
    lesson: WordLesson,
    seeds: int,
    variant: str | None = None,
    *,
    init: InitName = "torch",
    seeds_per_call: int | None = None,
) -> Sweep:
    """Train all seeds in one compiled program, ``seeds_per_call`` at a time."""
    start = time.perf_counter()
    history = lesson.sweep(seeds, variant, init=init, seeds_per_call=seeds_per_call)
    return summarise(
        lesson,
        variant,
        framework="jax",
        init=init,
        loss=history.loss,
        exact=history.metrics["exact"],
        accuracy=history.metrics["accuracy"],
        seconds=time.perf_counter() - start,
    )


def sweep_torch(
    lesson: WordLesson, seeds: int, variant: str | None = None, *, init: InitName = "torch"
) -> Sweep:
    """Train one seed after another. ``init="flax"`` uses the weights that Flax would draw."""
    labels = lesson.arrays()["labels"]
    import_seconds("torch")
    import torch

    import reference_torch
    from reference_torch.training import train

    theirs = reference_torch.load(lesson.name)
    build = theirs.variants[variant] if variant else theirs.model
    start = time.perf_counter()
    loss = np.zeros((seeds, lesson.epochs))
    right = np.zeros((seeds, lesson.epochs, *labels.shape), bool)
    bar = progress_bar(f"{lesson.name} in PyTorch, {seeds} seeds", seeds)
    with bar as advance, torch_on_one_thread():
        for seed in range(seeds):
            torch.manual_seed(seed)
            module = build()
            if init == "flax":
                recipe = replace(lesson.recipe, variant=variant or "")
                drawn = torch_state_dict(lesson.build(recipe, init=init, rngs=nnx.Rngs(seed)))
                module.load_state_dict({k: torch.from_numpy(v.copy()) for k, v in drawn.items()})
            for epoch, value, ids in train(theirs, module):
                loss[seed, epoch - 1] = value
                right[seed, epoch - 1] = ids == labels
            advance(1)
    return summarise(
        lesson,
        variant,
        framework="torch",
        init=init,
        loss=loss,
        exact=np.all(right, (2, 3)),
        accuracy=right.mean((2, 3)),
        seconds=time.perf_counter() - start,
    )


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
    lesson: WordLesson,
    variant: str | None,
    *,
    framework: Literal["jax", "torch"],
    init: str,
    loss: np.ndarray,
    exact: np.ndarray,
    accuracy: np.ndarray,
    seconds: float,
) -> Sweep:
    """Rates and epochs from arrays of shape (seeds, epochs)."""
    seeds, epochs = exact.shape
    ever, at_end = exact.any(1), exact[:, -1]
    first = np.where(ever, exact.argmax(1) + 1, 0)
    last_wrong = np.where(exact.all(1), 0, epochs - (~exact[:, ::-1]).argmax(1))
    stable = np.where(at_end, last_wrong + 1, 0)
    final = loss[:, -1].astype(float)
    return Sweep(
        lesson=lesson.name,
        variant=variant,
        framework=framework,
        init=init,
        seeds=seeds,
        epochs=epochs,
        ever=int(ever.sum()),
        at_end=int(at_end.sum()),
        median_first_epoch=_median(first),
        median_stable_epoch=_median(stable),
        loss={
            "min": float(final.min()),
            "median": float(np.median(final)),
            "max": float(final.max()),
        },
        seconds=seconds,
        first_epoch=[int(epoch) or None for epoch in first],
        stable_from=[int(epoch) or None for epoch in stable],
        final_loss=final.tolist(),
        final_accuracy=accuracy[:, -1].astype(float).tolist(),
    )


def _median(epochs: np.ndarray) -> float | None:
    reached = epochs[epochs > 0]
    return float(np.median(reached)) if reached.size else None
