"""Run a lesson and print what its slide prints."""

import argparse
import dataclasses
import difflib
import sys
from collections.abc import Iterable, Sequence

import torch
from torch import nn

from reference_torch import NAMES, load
from reference_torch.lesson import Lesson
from reference_torch.training import tensors, train

EXAMPLES = """\
examples:
  python -m reference_torch ihello
  python -m reference_torch ihello --seed 0
  python -m reference_torch rnn_linear --variant gru --epochs 20
"""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.lesson is None:
        parser.print_help()
        return 0
    lesson = load(_known(parser, "lesson", options.lesson, NAMES))
    build = lesson.model
    if options.variant is not None:
        build = lesson.variants[_known(parser, "variant", options.variant, lesson.variants)]
    if options.epochs is not None and lesson.epochs > 0:
        if options.epochs < 1:
            parser.error(f"expected at least 1 epoch, got {options.epochs}")
        lesson = dataclasses.replace(lesson, epochs=options.epochs)

    torch.set_num_threads(1)  # the models are so small that more threads only wait
    torch.manual_seed(options.seed)
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
    """The lessons without training: feed the inputs once and look."""
    inputs, _, hidden = tensors(lesson, model)
    out, hidden = model(inputs, hidden)
    print("input size", inputs.size())
    print("out", out)
    print("out size", out.size())


def _parser() -> argparse.ArgumentParser:
    lessons = [load(name) for name in NAMES]
    width = max(map(len, NAMES))
    lines = [f"  {lesson.name:{width}}  {lesson.teaches}" for lesson in lessons]
    parser = argparse.ArgumentParser(
        prog="python -m reference_torch",
        description=__doc__,
        epilog="\n".join(["lessons:", *lines, "", EXAMPLES]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("lesson", nargs="?", help="one of the names below")
    parser.add_argument("--seed", type=int, default=2, help="torch's seed (default: 2)")
    parser.add_argument("--epochs", type=int, help="train for so many epochs, not the lesson's")
    parser.add_argument("--variant", help="another model of the same lesson")
    return parser


def _known(parser: argparse.ArgumentParser, what: str, name: str, names: Iterable[str]) -> str:
    """The name if there is such a one; otherwise leave with the nearest."""
    names = list(names)
    if name not in names:
        nearest = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
        hint = (
            f"did you mean {nearest[0]!r}?" if nearest else f"known: {', '.join(names) or 'none'}"
        )
        parser.error(f"there is no {what} {name!r}; {hint}")
    return name


if __name__ == "__main__":
    sys.exit(main())
