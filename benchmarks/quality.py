"""Held-out figures over time of a lesson on real data, in both frameworks.

    python -m benchmarks.quality char_lm --target 1.60
    python -m benchmarks.quality char_lm --preset long --framework jax
    python -m benchmarks.quality names
    python -m benchmarks.quality seq2seq_attention

JAX and PyTorch train the same recipe on the same batches from the same weights, alternating every
few hundred steps, with the same number of threads. The time of each framework is measured
separately. It includes import, compilation, training and evaluation, but not writing files. JAX
runs on its default device, PyTorch on the GPU too if that is one.
"""

import time

BEGAN = time.perf_counter()

import argparse  # noqa: E402
import json  # noqa: E402
from collections.abc import Iterator  # noqa: E402
from dataclasses import asdict, replace  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402

RESULTS = Path(__file__).parent / "results"

console = Console()


class Clock:
    """Seconds used by one framework."""

    def __init__(self, seconds: float = 0.0):
        self.seconds = seconds

    def __enter__(self) -> None:
        self._since = time.perf_counter()

    def __exit__(self, *error: object) -> None:
        self.seconds += time.perf_counter() - self._since


def torch_side(name: str, recipe: Any, state: dict[str, Any], text: Path | None) -> Iterator[Any]:
    """Held-out figures of PyTorch every ``evaluate_every`` steps, and the mean loss in between."""
    import jax
    import torch

    import reference_torch
    from jax_rnn.bench.pytorch import torch_device
    from reference_torch.teaching.training import train

    task = reference_torch.load(name)
    data = task.read(recipe, text)
    model = task.build(recipe, data.vocabulary)
    model.load_state_dict({key: torch.tensor(value) for key, value in state.items()})
    if torch.cuda.is_available():
        model.to(torch_device(jax.devices()[0].platform))
    yield None
    losses = []
    for step, loss, _ in train(task, model, recipe, data):
        losses.append(loss)
        if step % recipe.evaluate_every == 0 or step == recipe.steps:
            model.eval()
            figures = task.evaluate(model, data)
            yield step, sum(losses) / len(losses), {k: float(v) for k, v in figures.items()}
            losses = []


def measure(
    name: str, recipe: Any, *, frameworks: tuple[str, ...], text: Path | None, seconds: float
) -> dict[str, list[dict[str, Any]]]:
    """The curves of the frameworks: step, seconds, training loss, held-out figures."""
    from flax import nnx

    from jax_rnn import torch_state_dict
    from jax_rnn.lecture.lessons import load
    from jax_rnn.lecture.teaching.lesson import optimizer
    from jax_rnn.train import fit

    curves: dict[str, list[dict[str, Any]]] = {framework: [] for framework in frameworks}
    clocks = {"jax": Clock(), "torch": Clock()}
    task = load(name)
    with clocks["jax"]:
        data = task.read(recipe, text)
        model = task.build(recipe, data.vocabulary, rngs=nnx.Rngs(recipe.seed))
    theirs: Iterator[Any] = iter(())
    if "torch" in frameworks:
        with clocks["torch"]:
            theirs = torch_side(name, recipe, torch_state_dict(model), text)
            next(theirs)
    losses: list[float] = []

    def add(framework: str, step: int, loss: float, figures: dict[str, float]) -> None:
        spent = round(clocks[framework].seconds, 2)
        curves[framework].append(
            {"step": step, "seconds": spent, "loss": loss, "held_out": figures}
        )
        shown = ", ".join(f"{key} {value:.4f}" for key, value in figures.items())
        console.print(
            f"{framework:5} step {step:6,} {spent:8.1f} s  loss {loss:.4f}  held out: {shown}",
            highlight=False,
            soft_wrap=True,
        )

    def record(row: dict[str, Any]) -> None:
        """Stop the clock of JAX and run the same number of steps in PyTorch."""
        nonlocal since
        clocks["jax"].seconds += time.perf_counter() - since
        losses.append(row["loss"])
        figures = {k.removeprefix("held_out_"): v for k, v in row.items() if "held_out" in k}
        if figures:
            add("jax", row["step"], sum(losses) / len(losses), figures)
            losses.clear()
            if "torch" in frameworks:
                with clocks["torch"]:
                    step, loss, found = next(theirs)
                add("torch", step, loss, found)
        since = time.perf_counter()

    clocks["jax"].seconds += seconds
    since = time.perf_counter()
    fit(
        model,
        task.loss,
        task.batches(recipe, data),
        steps=recipe.steps,
        optimizer=optimizer(recipe),
        carry=task.carry(model, recipe.batch_size),
        seed=recipe.seed if recipe.dropout else None,
        accumulate=recipe.accumulate,
        evaluate=lambda model: task.evaluate(model, data),
        evaluate_every=recipe.evaluate_every,
        on_record=record,
    )
    return curves


def reached(curve: list[dict[str, Any]], target: float) -> float | None:
    """Seconds until the held-out loss reached the target."""
    return next((row["seconds"] for row in curve if row["held_out"]["loss"] <= target), None)


def summary(curves: dict[str, list[dict[str, Any]]], target: float | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for framework, curve in curves.items():
        best = min(curve, key=lambda row: row["held_out"]["loss"])
        found[framework] = {
            "seconds": curve[-1]["seconds"],
            "last": curve[-1]["held_out"],
            "best": best["held_out"],
            "best_step": best["step"],
            "seconds_to_target": None if target is None else reached(curve, target),
        }
    return found


def show(found: dict[str, Any], target: float | None) -> None:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    table.add_column("")
    for framework in found:
        table.add_column({"jax": "JAX", "torch": "PyTorch"}[framework], justify="right")
    for name in next(iter(found.values()))["last"]:
        table.add_row(
            f"held out, {name}", *(f"{side['last'][name]:.4f}" for side in found.values())
        )
    table.add_row("whole run", *(f"{side['seconds']:.1f} s" for side in found.values()))
    if target is not None:
        times = (side["seconds_to_target"] for side in found.values())
        table.add_row(
            f"held-out loss {target:g} after",
            *("never" if seconds is None else f"{seconds:.1f} s" for seconds in times),
        )
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.quality",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("lesson")
    parser.add_argument("--preset", default="default", help="name of the lesson's hyperparameters")
    parser.add_argument("--framework", choices=("both", "jax"), default="both")
    parser.add_argument(
        "--target", type=float, help="held-out loss; the time until it is reached is reported"
    )
    parser.add_argument("--steps", type=int, help="number of steps (default: the preset's)")
    parser.add_argument("--text", type=Path)
    parser.add_argument("--threads", type=int, help="threads of PyTorch (default: number of cores)")
    parser.add_argument("--json", type=Path, help=f"result file (default: {RESULTS.name}/...)")
    options = parser.parse_args()

    from jax_rnn.lecture.lessons import load
    from jax_rnn.train import fit  # noqa: F401  part of what a start costs

    task = load(options.lesson)
    recipe = {"default": task.recipe, **task.recipes}[options.preset]
    if options.steps:
        warmup = min(recipe.warmup, options.steps)
        recipe = replace(recipe, steps=options.steps, warmup=warmup)
    started = time.perf_counter() - BEGAN

    from jax_rnn.base.environment import environment

    frameworks = ("jax", "torch") if options.framework == "both" else (options.framework,)
    if options.threads:
        import torch

        torch.set_num_threads(options.threads)
    curves = measure(
        options.lesson, recipe, frameworks=frameworks, text=options.text, seconds=started
    )
    found = summary(curves, options.target)
    show(found, options.target)
    name = options.lesson + ("" if options.preset == "default" else f"-{options.preset}")
    path = options.json or RESULTS / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    result = {
        "lesson": options.lesson,
        "preset": options.preset,
        "recipe": asdict(recipe),
        "target": options.target,
        "summary": found,
        "curves": curves,
        "environment": environment(),
    }
    path.write_text(json.dumps(result, indent=1) + "\n")
    console.print(f"written: {path}", highlight=False, soft_wrap=True)


if __name__ == "__main__":
    main()
