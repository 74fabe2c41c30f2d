"""Train a lesson and print the output of its slide."""

import argparse
import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from reference_torch import UnknownLessonError, lesson_names, load
from reference_torch.teaching.training import train
from rnn_lecture.recipe import with_steps

EXAMPLES = """\
examples:
  python -m reference_torch ihello
  python -m reference_torch ihello --seed 0
  python -m reference_torch rnn_linear --preset gru --steps 20
  python -m reference_torch char_lm --steps 200
  python -m reference_torch char_lm --text book.txt --preset long
"""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.lesson is None:
        parser.print_help()
        return 0
    try:
        lesson = load(options.lesson)
        lesson.check_text(options.text)
        recipe = with_steps(lesson.preset(options.preset), options.steps)
        if options.seed is not None:
            recipe = replace(recipe, seed=options.seed)
        run(lesson, recipe, options.text)
    except (UnknownLessonError, OSError, ValueError) as error:
        parser.error(str(error))
    return 0


def run(lesson: Any, recipe: Any, text: Path | None = None) -> None:
    """Train, evaluate regularly on the held-out data, and report on the trained model."""
    data = lesson.read(recipe, text) if lesson.trained else None
    if not lesson.holds_out:
        torch.set_num_threads(1)  # more threads do not help for such small models
    torch.manual_seed(recipe.seed)
    model = lesson.build(recipe, data.vocabulary if data else {})
    if recipe.dtype == "float64":
        model.double()
    if not lesson.trained:
        _print([*lesson.forward(model), *lesson.explain(model)])
        return
    best, evaluations = math.inf, 0
    for step in train(lesson, model, recipe, data):
        last = step.step == recipe.steps
        _print(lesson.lines(step, last))
        if lesson.holds_out and (last or step.step % recipe.evaluate_every == 0):
            model.eval()
            figures = lesson.evaluate(model, data)
            _print([f"held out: {', '.join(f'{k} {value:.4f}' for k, value in figures.items())}"])
            better = figures["loss"] < best
            best, evaluations = (figures["loss"], 0) if better else (best, evaluations + 1)
            if recipe.patience is not None and evaluations >= recipe.patience:
                _print([f"stopped: no lower held-out loss in the last {evaluations} evaluations"])
                break
    model.eval()
    _print(lesson.report(model, recipe, data))


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        print(line, flush=True)


def _parser() -> argparse.ArgumentParser:
    lessons = [*map(load, lesson_names())]
    width = max(len(lesson.name) for lesson in lessons)
    lines = [f"  {lesson.name:{width}}  {lesson.teaches}" for lesson in lessons]
    parser = argparse.ArgumentParser(
        prog="python -m reference_torch",
        description=__doc__,
        epilog="\n".join(["lessons:", *lines, "", EXAMPLES]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("lesson", nargs="?", help="name of a lesson, see below")
    parser.add_argument("--preset", help="name of a set of hyperparameters, or of another model")
    parser.add_argument("--seed", type=int, help="seed of torch (default: the preset's)")
    parser.add_argument("--steps", type=int, help="number of steps (default: the preset's)")
    parser.add_argument("--text", type=Path, help="UTF-8 text file to train char_lm on")
    return parser


if __name__ == "__main__":
    sys.exit(main())
