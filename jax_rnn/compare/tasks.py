"""Compare a lesson on real data in both frameworks, with the same weights and batches."""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib import import_module
from inspect import Parameter, signature
from itertools import islice
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
from flax import nnx
from rich.console import Console
from rich.table import Table

from jax_rnn.compare.console import ladder, print_labelled
from jax_rnn.compare.frameworks import import_seconds
from jax_rnn.environment import environment
from jax_rnn.interop.state_dict import load_torch_state_dict, torch_state_dict
from jax_rnn.teaching.optimizer import optimizer
from jax_rnn.testing import Rung, climb
from jax_rnn.train import fit
from rnn_lecture.recipe import Recipe

__all__ = ["StepPair", "TaskComparison", "compare_task", "print_task_comparison"]

LADDER_ROWS = 4
"""Number of rows of the first batch that the parity ladder uses."""


class StepPair(NamedTuple):
    """One optimizer step in both frameworks."""

    step: int
    loss: tuple[float, float]


@dataclass(frozen=True)
class TaskComparison:
    """The result of a comparison: plain data, the same in Python and in JSON.

    Fields of the form ``{"jax": ..., "torch": ...}`` hold one value per framework.

    Attributes:
        lesson: name of the lesson.
        dtype: data type of weights and losses in both, ``"float32"`` or ``"float64"``.
        seed: seed of torch, which draws the initial weights for both.
        steps: number of optimizer steps.
        recipe: the recipe of both.
        dropout: the rate of the lesson's recipe; both ran with 0, since their masks differ.
        loss: ``{"jax": [...], "torch": [...]}``, one entry per step.
        max_abs_loss_difference: over all steps.
        max_abs_weight_difference: over all parameters, after the last step.
        figures: ``{"jax": {...}, "torch": {...}}``, held-out figures after the last step.
        max_abs_figure_difference: over all figures.
        seconds: ``{"jax": {"import", "compile", "run", "evaluate"}, "torch": {"import", "run",
            "evaluate"}}``; an import is None if the framework was already loaded. ``"evaluate"``
            includes compilation.
        environment: versions, device, processor.
        rungs: rungs of the parity ladder (see ``jax_rnn.testing.check_parity``), from the initial
            weights, up to the first that fails.
    """

    lesson: str
    dtype: str
    seed: int
    steps: int
    recipe: dict[str, Any]
    dropout: float
    loss: dict[str, list[float]]
    max_abs_loss_difference: float
    max_abs_weight_difference: float
    figures: dict[str, dict[str, float]]
    max_abs_figure_difference: float
    seconds: dict[str, dict[str, float | None]]
    environment: dict[str, str]
    rungs: list[Rung] = field(default_factory=list)

    @property
    def title(self) -> str:
        return self.lesson


def compare_task(
    name: str,
    *,
    seed: int = 0,
    steps: int = 50,
    dtype: Literal["float32", "float64"] = "float32",
    recipe: Recipe | None = None,
    text: Path | None = None,
    on_step: Callable[[StepPair], None] = lambda pair: None,
) -> TaskComparison:
    """Train a lesson in JAX and in PyTorch from the weights that torch draws with ``seed``.

    Args:
        name: name of the lesson.
        seed: seed of torch.
        steps: number of optimizer steps.
        dtype: data type of weights and computation in both frameworks.
        recipe: hyperparameters; None uses the lesson's. Dropout is set to 0.
        text: text to train on, if the lesson accepts one.
        on_step: called after every step of torch, which trains after JAX.

    Raises:
        ValueError: an unknown dtype, fewer than one step, or an unsupported text.
        ModuleNotFoundError: torch is not installed.
    """
    if dtype not in ("float32", "float64"):
        raise ValueError(f"dtype: expected float32 or float64, got {dtype!r}")
    if steps < 1:
        raise ValueError(f"steps: expected at least 1, got {steps}")
    task: Any = import_module(f"jax_rnn.lessons.{name}").lesson
    if text is not None and not task.takes_text:
        raise ValueError(f"text: {name} has its own data, got {text}; omit the text")
    seconds: dict[str, dict[str, float | None]] = {
        framework: {"import": import_seconds(framework)} for framework in ("jax", "torch")
    }
    wanted: Any = task.recipe if recipe is None else recipe
    used: Any = replace(wanted, dropout=0.0, dtype=dtype)
    with jax.enable_x64(dtype == "float64"), jax.default_matmul_precision("highest"):
        import torch

        import reference_torch
        from reference_torch import task as torch_task

        theirs = reference_torch.load(name)
        data = task.read(used, text)
        batches = task.batches(used, data)

        torch.manual_seed(seed)
        module = theirs.build(used, data.vocabulary).to(getattr(torch, dtype))
        model = task.build(used, data.vocabulary, rngs=nnx.Rngs(0))
        load_torch_state_dict(model, _arrays(module.state_dict()))
        rungs = climb(
            model, module, _arguments(module.forward, batches(0, slice(LADDER_ROWS))), dtype=dtype
        )

        history = fit(
            model,
            task.loss,
            batches,
            steps=steps,
            optimizer=optimizer(used),
            carry=task.carry(model, used.batch_size),
            accumulate=used.accumulate,
            description=name,
        )
        seconds["jax"] |= {"compile": history.compile_seconds, "run": history.run_seconds}
        loss: dict[str, list[float]] = {"jax": history.loss.astype(float).tolist(), "torch": []}

        start, reporting = time.perf_counter(), 0.0
        run = torch_task.train(theirs, used, data, module)
        for step, value in islice(run, steps):
            reporting -= time.perf_counter()
            loss["torch"].append(value)
            on_step(StepPair(step, (loss["jax"][step - 1], value)))
            reporting += time.perf_counter()
        seconds["torch"]["run"] = time.perf_counter() - start - reporting

        figures = {}
        for side, evaluate in (
            ("jax", lambda: task.evaluate(model, data)),
            ("torch", lambda: theirs.evaluate(module, data)),
        ):
            (model if side == "jax" else module).eval()
            start = time.perf_counter()
            figures[side] = {key: float(value) for key, value in evaluate().items()}
            seconds[side]["evaluate"] = time.perf_counter() - start
        return TaskComparison(
            lesson=name,
            dtype=dtype,
            seed=seed,
            steps=steps,
            recipe=asdict(used),
            dropout=wanted.dropout,
            loss=loss,
            max_abs_loss_difference=_gap(loss["jax"], loss["torch"]),
            max_abs_weight_difference=_gap_by_name(
                torch_state_dict(model), _arrays(module.state_dict())
            ),
            figures=figures,
            max_abs_figure_difference=_gap_by_name(figures["jax"], figures["torch"]),
            seconds=seconds,
            environment=environment(),
            rungs=rungs,
        )


def print_task_comparison(console: Console, result: TaskComparison) -> None:
    """Print the summary of one comparison: losses at a few steps, figures, times, differences."""
    console.print(_losses(result))
    console.print()
    console.print(_two_columns(result))
    console.print()
    if result.dropout:
        console.print(
            f"dropout is 0 instead of the recipe's {result.dropout:g}: the two frameworks draw "
            "different masks",
            highlight=False,
        )
    print_labelled(
        console,
        f"{result.steps} steps",
        f"largest differences: loss {result.max_abs_loss_difference:.1e}, "
        f"weights {result.max_abs_weight_difference:.1e}, "
        f"held-out figures {result.max_abs_figure_difference:.1e}",
    )
    print_labelled(console, *ladder(result.rungs))


def _losses(result: TaskComparison) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for header in ("step", "loss JAX", "loss PyTorch", "difference"):
        table.add_column(header, justify="right", no_wrap=True)
    every = max(1, result.steps // 10)
    pairs = zip(result.loss["jax"], result.loss["torch"], strict=True)
    for step, (a, b) in enumerate(pairs, 1):
        if step == 1 or step % every == 0 or step == result.steps:
            table.add_row(str(step), f"{a:.6f}", f"{b:.6f}", f"{abs(a - b):.1e}")
    return table


def _two_columns(result: TaskComparison) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    table.add_column("", style="dim")
    table.add_column("JAX", justify="right")
    table.add_column("PyTorch", justify="right")
    sides = ("jax", "torch")
    for name in result.figures["jax"]:
        table.add_row(f"held out, {name}", *(f"{result.figures[side][name]:.6f}" for side in sides))
    for part in ("import", "compile", "run", "evaluate"):
        times = [result.seconds[side].get(part) for side in sides]
        if any(time is not None for time in times):
            name = f"run, {result.steps} steps" if part == "run" else part
            table.add_row(name, *("-" if time is None else f"{time:.2f} s" for time in times))
    return table


def _arguments(forward: Callable, batch: Mapping[str, np.ndarray]) -> tuple[np.ndarray, ...]:
    """The arguments of a model in a batch, by name, integers as int64."""
    needed = [
        name
        for name, parameter in signature(forward).parameters.items()
        if parameter.default is Parameter.empty
    ]
    arrays = [batch[name] for name in needed]
    return tuple(
        array.astype(np.int64) if np.issubdtype(array.dtype, np.integer) else array
        for array in arrays
    )


def _arrays(tensors: Mapping[str, Any]) -> dict[str, np.ndarray]:
    return {name: tensor.detach().cpu().numpy().copy() for name, tensor in tensors.items()}


def _gap(ours: Any, theirs: Any) -> float:
    """The largest difference; infinite for different shapes."""
    a, b = np.asarray(ours), np.asarray(theirs)
    if a.shape != b.shape:
        return float("inf")
    gap = np.abs(a - b)
    return float(np.where(np.isnan(gap), np.inf, gap).max(initial=0.0))


def _gap_by_name(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> float:
    if ours.keys() != theirs.keys():
        return float("inf")
    return max((_gap(ours[name], theirs[name]) for name in ours), default=0.0)
