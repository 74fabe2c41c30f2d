"""A lesson on a word or a sentence: the batch is all of its data, and every epoch is printed."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from reference_torch.teaching.lesson import Batch, Lesson, tensor, tensors
from reference_torch.teaching.training import train


@dataclass(frozen=True, eq=False, kw_only=True)
class WordLesson(Lesson):
    """A lesson on `Words`.

    Attributes:
        model: builds the model without arguments; it is called as `model(inputs, hidden=None)` and
            returns `(logits, hidden)`, logits being (B, T, classes).
        loss: `loss(model, batch) -> (loss, {"prediction": ids})`.
        explain: lines that answer the slide's question, from the trained model.
    """

    explain: Callable[[Any], Iterable[str]] = lambda model: ()

    def batch(self, model: nn.Module) -> Batch:
        """Inputs and labels, with the device and dtype of the model's parameters."""
        return tensors(self.facts.read().train, model)

    def arguments(self, model: nn.Module) -> tuple[torch.Tensor, Any]:
        """Inputs and initial state, likewise."""
        hidden = tuple(tensor(state, model) for state in self.facts.hidden or ())
        return tensor(self.facts.inputs, model), hidden or None

    @torch.no_grad()
    def evaluate(self, model, data=None):
        """Loss and accuracy over all positions, and whether all letters are correct."""
        batch = self.batch(model)
        loss, metrics = self.loss(model, batch)
        right = metrics["prediction"] == batch["labels"]
        return {
            "loss": loss.item(),
            "exact": float(right.all()),
            "accuracy": right.float().mean().item(),
        }

    def lines(self, step, last):
        yield f"epoch: {step.step}, loss: {step.loss:1.3f}"
        yield f"Predicted string: {self.facts.text(step.metrics['prediction'])}"
        if last:
            yield "Learning finished!"

    def report(self, model, recipe, data):
        """The answer to the slide's question, which is about the lesson's own model."""
        return iter(() if recipe.variant else self.explain(model))

    @torch.no_grad()
    def forward(self, model: nn.Module) -> Iterable[str]:
        """The shapes and outputs of one call, for a lesson that does not train."""
        inputs, hidden = self.arguments(model)
        out, _ = model(inputs, hidden)
        return [f"input size {inputs.size()}", f"out {out}", f"out size {out.size()}"]


def successes(lesson: WordLesson, build: Callable[[], nn.Module], seeds: Iterable[int]) -> int:
    """The number of seeds whose training ends at the lesson's target."""
    texts = []
    for seed in seeds:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = build()
        *_, last = train(lesson, model)
        texts.append(lesson.facts.text(last.metrics["prediction"]))
    return texts.count(lesson.facts.target)
