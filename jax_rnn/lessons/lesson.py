"""The definition of a lesson: data, a model and hyperparameters."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal, Protocol

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from jax_rnn.initializers import Init
from jax_rnn.train.history import History
from jax_rnn.train.loop import fit
from jax_rnn.train.seeds import fit_seeds
from jax_rnn.typing import default_float

__all__ = ["BuildModel", "Lesson", "encode", "one_hot"]


class BuildModel(Protocol):
    """Builds a model, which is called as ``model(inputs, hidden=None) -> (logits, hidden)``."""

    def __call__(self, *, init: Init = "torch", rngs: nnx.Rngs) -> Any: ...


def encode(text: str, symbols: str) -> np.ndarray:
    """Indices in ``symbols`` of the characters of ``text``, int32 (T,)."""
    return np.array([symbols.index(character) for character in text], np.int32)


def one_hot(ids: np.ndarray, size: int) -> np.ndarray:
    """Rows of the identity, float32 (*ids.shape, size)."""
    return np.eye(size, dtype=np.float32)[ids]


def first_row(ids: np.ndarray) -> np.ndarray:
    return ids[0]


def no_explanation(model: Any) -> Iterable[str]:
    return ()


@cache
def adam(learning_rate: float) -> optax.GradientTransformation:
    """Adam on all parameters as one vector; cached, so that ``fit`` reuses its program."""
    return optax.flatten(optax.adam(learning_rate))


@cache
def seed_builder(lesson: "Lesson", variant: str | None, init: Init) -> Callable[[nnx.Rngs], Any]:
    """``lesson.build`` with its arguments; cached, so that ``fit_seeds`` reuses its program."""
    return lambda rngs: lesson.build(variant, init=init, rngs=rngs)


@dataclass(frozen=True, eq=False)
class Lesson:
    """One program of the lecture.

    Attributes:
        name: name of the file, here and in ``reference_torch``.
        slide: title of the slide in the lecture.
        teaches: one sentence on what the lesson shows.
        symbols: character of every index.
        inputs: one-hot float32 (B, T, I), or int32 ids (B, T) for a model with an embedding.
        labels: int32 ids (B, T); None if the lesson does not train.
        model: builds the model.
        hidden: the initial state; None means zeros.
        learning_rate: learning rate of Adam.
        epochs: optimizer steps on the whole batch.
        reduction: reduction of the cross entropy over all B*T positions.
        variants: other models for the same task, by name.
        reading: predicted ids (B, T) -> the ids (N,) that ``text`` converts to a string.
        explain: lines that answer the slide's question, from the trained model.
    """

    name: str
    slide: str
    teaches: str
    symbols: str
    inputs: np.ndarray
    labels: np.ndarray | None
    model: BuildModel
    hidden: tuple[np.ndarray, ...] | None = None
    learning_rate: float = 0.1
    epochs: int = 100
    reduction: Literal["mean", "sum"] = "mean"
    variants: Mapping[str, BuildModel] = field(default_factory=dict)
    reading: Callable[[np.ndarray], np.ndarray] = first_row
    explain: Callable[[Any], Iterable[str]] = no_explanation

    @property
    def trained(self) -> bool:
        return self.labels is not None

    @property
    def target(self) -> str | None:
        """The string that a perfect model predicts."""
        return None if self.labels is None else self.text(self.labels)

    def builder(self, variant: str | None = None) -> BuildModel:
        """The builder of the model or of a variant. ValueError: an unknown variant."""
        if variant is None:
            return self.model
        if variant not in self.variants:
            known = ", ".join(self.variants) or "none"
            raise ValueError(f"{self.name} has no variant {variant!r}; expected one of: {known}")
        return self.variants[variant]

    def build(self, variant: str | None = None, *, init: Init = "torch", rngs: nnx.Rngs) -> Any:
        """Build the model or a variant. ValueError: an unknown variant."""
        return self.builder(variant)(init=init, rngs=rngs)

    def draw(self, seed: int, variant: str | None = None, *, init: Init = "torch") -> Any:
        """The model of ``build`` with ``nnx.Rngs(seed)``, built by one compiled program.

        Weights are equal bit for bit with ``init="torch"``, and up to rounding for orthogonal ones.
        """
        build = self.builder(variant)

        @nnx.jit
        def drawn(seed):
            return build(init=init, rngs=nnx.Rngs(jax.random.key(seed)))

        return drawn(np.uint32(seed))

    def batch(self) -> dict[str, Any]:
        """Inputs and labels as JAX arrays, floats in JAX's default dtype."""
        floating = np.issubdtype(self.inputs.dtype, np.floating)
        inputs = jnp.asarray(self.inputs, default_float() if floating else jnp.int32)
        return {"inputs": inputs, "labels": jnp.asarray(self.required_labels(), jnp.int32)}

    def forward_arguments(self) -> tuple[Any, Any]:
        """Inputs and initial state as JAX arrays, floats in JAX's default dtype."""
        return jax.tree.map(lambda x: jnp.asarray(x, default_float()), (self.inputs, self.hidden))

    def optimizer(self) -> optax.GradientTransformation:
        return adam(self.learning_rate)

    def loss(self, model: Any, batch: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Cross entropy over all positions, and the predicted ids."""
        logits, _ = model(batch["inputs"])
        entropy = optax.softmax_cross_entropy_with_integer_labels(logits, batch["labels"])
        loss = entropy.mean() if self.reduction == "mean" else entropy.sum()
        return loss, {"prediction": logits.argmax(-1)}

    def score(self, model: Any, batch: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Cross entropy, and the accuracy of the prediction."""
        loss, metrics = self.loss(model, batch)
        right = metrics["prediction"] == batch["labels"]
        return loss, {"exact": right.all(), "accuracy": right.mean()}

    def train(self, model: Any, epochs: int | None = None) -> History:
        """Train ``model`` in place; return the history of losses and predictions, see ``fit``."""
        return fit(
            model,
            self.loss,
            self.batch(),
            steps=self.epochs if epochs is None else epochs,
            optimizer=self.optimizer(),
            description=self.name,
        )

    def sweep(
        self,
        seeds: int,
        variant: str | None = None,
        *,
        init: Init = "torch",
        seeds_per_call: int | None = None,
    ) -> History:
        """Train with seeds 0 to ``seeds - 1``; return losses and scores, see ``fit_seeds``."""
        return fit_seeds(
            seed_builder(self, variant, init),
            self.score,
            self.batch(),
            seeds=range(seeds),
            steps=self.epochs,
            optimizer=self.optimizer(),
            seeds_per_call=seeds_per_call,
            description=f"{self.name}, {seeds} seeds",
        )

    def text(self, ids: np.ndarray) -> str:
        """The string of predicted ids (B, T)."""
        return "".join(self.symbols[i] for i in self.reading(np.asarray(ids)))

    def required_labels(self) -> np.ndarray:
        """The labels. ValueError: the lesson has none."""
        if self.labels is None:
            raise ValueError(
                f"expected a lesson that trains, got {self.name}, which only shows shapes; "
                f"run it with `jax-rnn train {self.name}`"
            )
        return self.labels
