"""A lesson on a word or a sentence: the batch is all of its data, and every epoch is printed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from jax_rnn.base.initializers import Init
from jax_rnn.base.typing import accumulator, default_float
from jax_rnn.data.dataset import Data
from jax_rnn.lecture.teaching.lesson import Lesson
from jax_rnn.train.results import History
from rnn_lecture.program import WordProgram, encode, one_hot
from rnn_lecture.recipe import WordRecipe
from rnn_lecture.sampling import Sampling, check_sampling

__all__ = ["BuildModel", "WordLesson"]


class BuildModel(Protocol):
    """Builds a model, which is called as ``model(inputs, hidden=None) -> (logits, hidden)``."""

    def __call__(self, *, init: Init = "torch", rngs: nnx.Rngs) -> Any: ...


@dataclass(frozen=True, eq=False, kw_only=True)
class WordLesson(WordProgram, Lesson):
    """One program of the lecture on a word or a sentence; its facts are those of ``Words``.

    Attributes:
        model: builds the model: a class, or a ``partial`` of it with arguments that JSON can hold.
        variants, explain: see ``WordProgram``.
    """

    model: BuildModel  # pyright: ignore[reportIncompatibleVariableOverride]
    variants: Mapping[str, BuildModel] = field(default_factory=dict)

    def architecture(self, recipe: WordRecipe, vocabulary: Mapping[str, Any]) -> tuple[Any, dict]:
        """The class of the model and its arguments. ValueError: an unknown variant."""
        builder: Any = self.builder(recipe)
        if isinstance(builder, partial):
            return builder.func, dict(builder.keywords)
        return builder, {}

    def options(self, recipe: WordRecipe, vocabulary: Mapping[str, Any]) -> dict[str, Any]:
        return self.architecture(recipe, vocabulary)[1]

    def batches(self, recipe: WordRecipe, data: Data) -> dict[str, Any]:
        return self.batch()

    def batch(self) -> dict[str, Any]:
        """Inputs and labels as JAX arrays, floats in JAX's default dtype."""
        arrays = self.arrays()
        floating = np.issubdtype(self.inputs.dtype, np.floating)
        inputs = jnp.asarray(arrays["inputs"], default_float() if floating else jnp.int32)
        return {"inputs": inputs, "labels": jnp.asarray(arrays["labels"], jnp.int32)}

    def forward_arguments(self) -> tuple[Any, Any]:
        """Inputs and initial state as JAX arrays, floats in JAX's default dtype."""
        return jax.tree.map(lambda x: jnp.asarray(x, default_float()), (self.inputs, self.hidden))

    def loss(self, model: Any, batch: Any, **more: Any) -> tuple[Any, dict[str, Any]]:
        """Cross entropy over all positions, and the predicted ids."""
        inputs = batch["inputs"]
        if jnp.issubdtype(inputs.dtype, jnp.floating):
            parameters = [leaf for leaf in jax.tree.leaves(model) if hasattr(leaf, "dtype")]
            inputs = inputs.astype(next(iter(parameters), inputs).dtype)
        logits, _ = model(inputs)
        logits = logits.astype(accumulator(logits.dtype))
        entropy = optax.softmax_cross_entropy_with_integer_labels(logits, batch["labels"])
        loss = entropy.mean() if self.reduction == "mean" else entropy.sum()
        return loss, {"prediction": logits.argmax(-1)}

    def score(self, model: Any, batch: Any, **more: Any) -> tuple[Any, dict[str, Any]]:
        """Cross entropy, and the accuracy of the prediction."""
        loss, metrics = self.loss(model, batch)
        right = metrics["prediction"] == batch["labels"]
        return loss, {"exact": right.all(), "accuracy": right.mean()}

    def evaluate(self, model: Any, data: Data) -> dict[str, float]:
        """Loss, accuracy, and whether all letters are correct, on the data of the training."""
        loss, metrics = self.score(model, self.batch())
        return {"loss": float(loss)} | {name: float(value) for name, value in metrics.items()}

    def steps(self, history: History, first: int = 1) -> Iterator[str]:
        """The loss and the predicted string of every epoch; a missed target is reported."""
        predictions = history.metrics["prediction"]
        for epoch, (loss, ids) in enumerate(zip(history.loss, predictions, strict=True), first):
            yield f"epoch: {epoch}, loss: {loss:1.3f}"
            yield f"Predicted string: {self.text(ids)}"
        yield "Learning finished!"
        if len(predictions) and (last := self.text(predictions[-1])) != self.target:
            right = sum(a == b for a, b in zip(last, self.target or "", strict=True))
            yield (
                f"This run missed its target: {right} of {len(last)} letters are correct at the "
                f"end. `{self.name}.sweep` shows how often other seeds reach it."
            )

    def report(self, model: Any, data: Data, folder: Path) -> Iterator[str]:
        """The answer to the slide's question."""
        yield from self.explain(model)

    def respond(
        self, model: Any, vocabulary: Mapping[str, Any], prompt: str, sampling: Sampling
    ) -> Iterator[str]:
        """The likeliest next letter after every letter of the prompt; nothing is drawn."""
        check_sampling(sampling)
        if not prompt:
            raise ValueError(f"prompt: expected letters among {self.symbols!r}, got none")
        ids = encode([prompt], self.symbols)
        floating = np.issubdtype(self.inputs.dtype, np.floating)
        inputs = one_hot(ids, len(self.symbols)) if floating else ids
        logits, _ = model(jnp.asarray(inputs, default_float() if floating else jnp.int32))
        yield "".join(self.symbols[k] for k in np.asarray(logits.argmax(-1))[0])

    def forward(self, model: Any) -> Iterator[str]:
        """The shapes and outputs of one call, for a lesson that does not train."""
        inputs, hidden = self.forward_arguments()
        out, _ = model(inputs, hidden)
        yield f"input size {inputs.shape}"
        yield f"out {out}"
        yield f"out size {out.shape}"

    def train(self, model: Any, epochs: int | None = None) -> History:
        """Train ``model`` in place; return the history of losses and predictions, see ``fit``."""
        return self.fit(model, steps=self.epochs if epochs is None else epochs)
