"""A lesson on a word or a sentence: the batch is all of its data, and every epoch is printed."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from reference_torch.teaching.lesson import Lesson, tensors
from reference_torch.teaching.training import train
from rnn_lecture.program import WordProgram


class Tensors(NamedTuple):
    inputs: torch.Tensor
    labels: torch.Tensor | None
    hidden: tuple[torch.Tensor, ...] | None


@dataclass(frozen=True, eq=False, kw_only=True)
class WordLesson(WordProgram, Lesson):
    """One program of the lecture; its facts are those of `Words`.

    A model is built without arguments and called as `model(inputs, hidden=None)`. It returns
    `(logits, hidden)`, logits being (B, T, classes).
    """

    def build(self, recipe, vocabulary):
        return self.builder(recipe)()

    def tensors(self, model: nn.Module) -> Tensors:
        """The lesson's arrays, with the device and dtype of the model's parameters."""
        named = {"inputs": self.inputs, "labels": self.labels}
        arrays = tensors({k: v for k, v in named.items() if v is not None}, model)
        hidden = None
        if self.hidden is not None:
            hidden = tuple(tensors({"hidden": state}, model)["hidden"] for state in self.hidden)
        return Tensors(arrays["inputs"], arrays.get("labels"), hidden)

    def loss(self, model, batch, hidden=None):
        logits, _ = model(batch["inputs"])
        loss = loss_of(logits, batch["labels"], self.reduction)
        return loss, {"prediction": logits.argmax(dim=-1)}, None

    @torch.no_grad()
    def evaluate(self, model, data):
        """Loss and accuracy over all positions, and whether all letters are correct."""
        batch = tensors(data.held_out, model)
        loss, metrics, _ = self.loss(model, batch)
        right = metrics["prediction"] == batch["labels"]
        return {
            "loss": loss.item(),
            "exact": float(right.all()),
            "accuracy": right.float().mean().item(),
        }

    def lines(self, step, last):
        yield f"epoch: {step.step}, loss: {step.loss:1.3f}"
        yield f"Predicted string: {self.text(step.metrics['prediction'])}"
        if last:
            yield "Learning finished!"

    def report(self, model, recipe, data):
        """The answer to the slide's question, which is about the lesson's own model."""
        return iter(() if recipe.variant else self.explain(model))

    @torch.no_grad()
    def forward(self, model: nn.Module) -> Iterable[str]:
        """The shapes and outputs of one call, for a lesson that does not train."""
        inputs, _, hidden = self.tensors(model)
        out, _ = model(inputs, hidden)
        return [f"input size {inputs.size()}", f"out {out}", f"out size {out.size()}"]


def loss_of(logits: torch.Tensor, labels: torch.Tensor, reduction: str = "mean") -> torch.Tensor:
    """Cross entropy of logits (B, T, classes) and labels (B, T), over all B * T positions."""
    return F.cross_entropy(logits.flatten(0, 1), labels.flatten().long(), reduction=reduction)


def score(lesson: WordLesson, model: nn.Module) -> tuple[float, float]:
    """Loss and accuracy of the model over all B * T positions."""
    figures = lesson.evaluate(model, lesson.read(lesson.recipe))
    return figures["loss"], figures["accuracy"]


def final_text(lesson: WordLesson, build: Callable[[], nn.Module], seed: int) -> str:
    """The string predicted at the last epoch, for a model initialized from this seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build()
    *_, last = train(lesson, model)
    return lesson.text(last.metrics["prediction"])


def successes(lesson: WordLesson, build: Callable[[], nn.Module], seeds: Iterable[int]) -> int:
    """The number of seeds that end at the lesson's target."""
    return sum(final_text(lesson, build, seed) == lesson.target for seed in seeds)
