"""A lesson on a word or a sentence: the batch is all of its data, and every epoch is printed."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jax_rnn.base.errors import ArgumentError
from jax_rnn.base.typing import default_float
from jax_rnn.data.dataset import Data
from jax_rnn.lecture.teaching.lesson import Lesson
from jax_rnn.train.results import History
from rnn_lecture.facts import encode, one_hot
from rnn_lecture.recipe import WordRecipe
from rnn_lecture.sampling import Sampling, check_sampling

__all__ = ["WordLesson"]


@dataclass(frozen=True, eq=False, kw_only=True)
class WordLesson(Lesson):
    """A lesson on ``Words``.

    Attributes:
        model: builds the model, which is called as ``model(inputs, hidden=None)`` and returns
            ``(logits, hidden)``.
        loss: ``loss(model, batch) -> (loss, {"prediction": ids})``.
        explain: lines that answer the slide's question, from the trained model.
    """

    explain: Callable[[Any], Iterable[str]] = lambda model: ()

    def batches(self, recipe: WordRecipe, data: Data) -> dict[str, Any]:
        return self.batch()

    def batch(self) -> dict[str, Any]:
        """Inputs and labels as JAX arrays, floats in JAX's default dtype."""
        return {name: _array(array) for name, array in self.facts.read().train.items()}

    def encode(self, prompt: str) -> Any:
        """The inputs of the model for a text. ValueError: a letter that is not a symbol."""
        symbols = self.facts.symbols
        ids = encode([prompt], symbols)
        return _array(ids if self.facts.inputs.ndim == 2 else one_hot(ids, len(symbols)))

    def arguments(self) -> tuple[Any, Any]:
        """Inputs and initial state as JAX arrays, floats in JAX's default dtype."""
        return jax.tree.map(_array, (self.facts.inputs, self.facts.hidden))

    def score(self, model: Any, batch: Any, **more: Any) -> tuple[Any, dict[str, Any]]:
        """The loss, and the accuracy of the prediction."""
        loss, metrics = self.loss(model, batch)
        right = metrics["prediction"] == batch["labels"]
        return loss, {"exact": right.all(), "accuracy": right.mean()}

    def evaluate(self, model: Any, data: Data) -> dict[str, float]:
        """Loss, accuracy, and whether all letters are correct, on the data of the training."""
        loss, metrics = self.score(model, self.batch())
        return {"loss": float(loss)} | {name: float(value) for name, value in metrics.items()}

    def steps(self, history: History, first: int = 1) -> Iterator[str]:
        """The loss and the predicted string of every epoch; a missed target is reported."""
        if not len(history.loss):  # the resumed run was complete
            return
        texts = [self.facts.text(ids) for ids in history.metrics["prediction"]]
        for epoch, (loss, text) in enumerate(zip(history.loss, texts, strict=True), first):
            yield f"epoch: {epoch}, loss: {loss:1.3f}"
            yield f"Predicted string: {text}"
        yield "Learning finished!"
        if texts[-1] != self.facts.target:
            right = sum(a == b for a, b in zip(texts[-1], self.facts.target, strict=True))
            yield (
                f"This run missed its target: {right} of {len(texts[-1])} letters are correct at "
                "the end. A sweep over many seeds shows how often runs reach it."
            )

    def report(self, model: Any, data: Data, folder: Path) -> Iterator[str]:
        """The answer to the slide's question."""
        yield from self.explain(model)

    def respond(
        self, model: Any, vocabulary: Mapping[str, Any], prompt: str, sampling: Sampling
    ) -> Iterator[str]:
        """The likeliest next letter after every letter of the prompt."""
        check_sampling(sampling)
        symbols = self.facts.symbols
        if not prompt:
            raise ArgumentError("prompt", f"expected letters among {symbols!r}, got none")
        logits, _ = model(self.encode(prompt))
        yield "".join(symbols[k] for k in np.asarray(logits.argmax(-1))[0])

    def forward(self, model: Any) -> Iterator[str]:
        """The shapes and outputs of one call, for a lesson that does not train."""
        inputs, hidden = self.arguments()
        out, _ = model(inputs, hidden)
        yield f"input size {inputs.shape}"
        yield f"out {out}"
        yield f"out size {out.shape}"


def _array(array: np.ndarray) -> jax.Array:
    floating = np.issubdtype(array.dtype, np.floating)
    return jnp.asarray(array, default_float() if floating else jnp.int32)
