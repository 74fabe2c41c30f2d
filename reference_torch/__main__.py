"""Run a lesson and print the output of its slide, or train a lesson on real data."""

import argparse
import dataclasses
import difflib
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from reference_torch import DATA_SETS, LESSONS, load
from reference_torch import task as tasks
from reference_torch.lesson import Lesson
from reference_torch.training import tensors, train
from rnn_lecture.sampling import Sampling

OF_TASKS = ("steps", "recipe", "text")
"""Options of the lessons on real data only."""

EXAMPLES = """\
examples:
  python -m reference_torch ihello
  python -m reference_torch ihello --seed 0
  python -m reference_torch rnn_linear --variant gru --epochs 20
  python -m reference_torch char_lm --steps 200
  python -m reference_torch char_lm --text book.txt --recipe long
"""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.lesson is None:
        parser.print_help()
        return 0
    name = _known(parser, "lesson", options.lesson, LESSONS)
    foreign = ("epochs", "variant") if name in DATA_SETS else OF_TASKS
    for option in foreign:
        if getattr(options, option) is not None:
            parser.error(f"--{option}: not an option of {name}; remove it")
    if name in DATA_SETS:
        return run_task(parser, load(name), options)
    lesson = load(name)
    build = lesson.model
    if options.variant is not None:
        build = lesson.variants[_known(parser, "variant", options.variant, lesson.variants)]
    if options.epochs is not None and lesson.epochs > 0:
        if options.epochs < 1:
            parser.error(f"expected at least 1 epoch, got {options.epochs}")
        lesson = dataclasses.replace(lesson, epochs=options.epochs)

    torch.set_num_threads(1)  # more threads do not help for such small models
    torch.manual_seed(2 if options.seed is None else options.seed)
    model = build()
    run(lesson, model)
    if options.variant is None:
        for line in lesson.explain(model):
            print(line, flush=True)
    return 0


def run(lesson: Lesson, model: nn.Module) -> None:
    if lesson.labels is None:
        show(lesson, model)
        return
    for epoch, loss, prediction in train(lesson, model):
        print(f"epoch: {epoch}, loss: {loss:1.3f}")
        print(f"Predicted string: {lesson.text(prediction)}", flush=True)
    print("Learning finished!")


@torch.no_grad()
def show(lesson: Lesson, model: nn.Module) -> None:
    """Run a lesson without training: call the model once and print the outputs."""
    inputs, _, hidden = tensors(lesson, model)
    out, hidden = model(inputs, hidden)
    print("input size", inputs.size())
    print("out", out)
    print("out size", out.size())


def run_task(parser: argparse.ArgumentParser, task: tasks.Task, options: argparse.Namespace) -> int:
    """Train, evaluate regularly on the held-out data, and print samples of the trained model."""
    recipe: Any = task.recipe
    if options.recipe is not None:
        recipe = task.recipes[_known(parser, "recipe", options.recipe, task.recipes)]
    if options.steps is not None:
        if options.steps < 1:
            parser.error(f"expected at least 1 step, got {options.steps}")
        recipe = dataclasses.replace(recipe, steps=options.steps)
    if options.seed is not None:
        recipe = dataclasses.replace(recipe, seed=options.seed)
    if options.text is not None and not task.takes_text:
        parser.error(f"--text: not an option of {task.name}; remove it")

    torch.manual_seed(recipe.seed)
    try:
        data = task.read(recipe, options.text)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    model = task.build(recipe, data.vocabulary)
    if recipe.dtype == "float64":
        model.double()
    best, evaluations = math.inf, 0
    for step, loss in tasks.train(task, recipe, data, model):
        if step % 20 == 0 or step in (1, recipe.steps):
            print(f"step: {step}, loss: {loss:.4f}", flush=True)
        if step % recipe.evaluate_every == 0 or step == recipe.steps:
            loss = evaluate(task, model, data)["loss"]
            best, evaluations = (loss, 0) if loss < best else (best, evaluations + 1)
            if recipe.patience is not None and evaluations >= recipe.patience:
                print(f"stopped: no better loss in {evaluations} evaluations")
                break
    model.eval()
    for prompt in task.examples(data.vocabulary):
        print(f"--- {prompt}" if prompt else "---")
        for piece in task.respond(model, data.vocabulary, prompt, Sampling()):
            print(piece, end="", flush=True)
        print()
    return 0


def evaluate(task: tasks.Task, model: nn.Module, data) -> Mapping[str, float]:
    """Print and return the figures on the held-out data."""
    model.eval()
    figures = task.evaluate(model, data)
    line = ", ".join(f"{name} {value:.4f}" for name, value in figures.items())
    print(f"held out: {line}", flush=True)
    return figures


def _parser() -> argparse.ArgumentParser:
    lessons = [*map(load, LESSONS)]
    width = max(map(len, LESSONS))
    lines = [f"  {lesson.name:{width}}  {lesson.teaches}" for lesson in lessons]
    parser = argparse.ArgumentParser(
        prog="python -m reference_torch",
        description=__doc__,
        epilog="\n".join(["lessons:", *lines, "", EXAMPLES]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("lesson", nargs="?", help="name of a lesson, see below")
    parser.add_argument("--seed", type=int, help="seed of torch (default: 2, or the recipe's)")
    parser.add_argument("--epochs", type=int, help="number of epochs (default: the lesson's)")
    parser.add_argument("--variant", help="name of another model of the lesson")
    parser.add_argument("--steps", type=int, help="number of steps (default: the recipe's)")
    parser.add_argument("--recipe", help="name of the hyperparameters, for a lesson on real data")
    parser.add_argument("--text", type=Path, help="UTF-8 text file to train char_lm on")
    return parser


def _known(parser: argparse.ArgumentParser, what: str, name: str, names: Iterable[str]) -> str:
    """Return the name if it is known; otherwise exit with a suggestion."""
    names = list(names)
    if name not in names:
        nearest = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
        hint = (
            f"did you mean {nearest[0]!r}?" if nearest else f"known: {', '.join(names) or 'none'}"
        )
        parser.error(f"unknown {what} {name!r}; {hint}")
    return name


if __name__ == "__main__":
    sys.exit(main())
