"""The definition of a lesson: facts, a model, its loss and its evaluation."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jax_rnn.initializers import Init
from jax_rnn.teaching.optimizer import optimizer
from jax_rnn.train.history import History
from jax_rnn.train.loop import fit
from jax_rnn.train.seed_batches import SeedPlan, fit_seed_batches
from rnn_lecture.facts import Data, Facts
from rnn_lecture.sampling import Sampling

__all__ = ["Lesson"]


class Lesson(Facts):
    """One program of the lecture.

    A subclass inherits the facts of its lesson from ``rnn_lecture``, sets ``model`` and implements
    the methods; one instance of it, called ``lesson``, is at the end of its file.
    ``reference_torch`` has the same file in PyTorch.

    Attributes:
        model: class of the model; built as ``model(**options, init=init, rngs=rngs)``.
    """

    model: ClassVar[Any]

    @abstractmethod
    def options(self, recipe: Any, vocabulary: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of ``model``, a dict that JSON can hold."""

    @abstractmethod
    def loss(self, model: Any, batch: Any, **more: Any) -> Any:
        """As ``jax_rnn.train.fit`` calls it: ``(loss, metrics)``, or with a carry
        ``(loss, metrics, carry)``; ``rngs=`` is given where the recipe has dropout."""

    def carry(self, model: Any, batch_size: int) -> Any:
        """State that goes from each batch to the next; None if every batch starts from zeros."""
        return None

    @abstractmethod
    def evaluate(self, model: Any, data: Data) -> dict[str, float]:
        """Figures on the held-out data, a dict of floats with ``"loss"``; smaller is better."""

    def respond(
        self, model: Any, vocabulary: Mapping[str, Any], prompt: str, sampling: Sampling
    ) -> Iterator[str]:
        """The answer of the model to a prompt, piece by piece.

        Raises:
            ValueError: a symbol in the prompt that is not in the vocabulary.
        """
        raise ValueError(
            f"{self.name}: expected a lesson whose model answers a prompt, got one without; use "
            "`evaluate`"
        )

    def steps(self, history: History, first: int = 1) -> Iterator[str]:
        """Lines about the steps of a training, printed after it; ``first`` is the first one."""
        yield from ()

    def report(self, model: Any, data: Data, folder: Path) -> Iterator[str]:
        """Lines that summarize a trained model; may write plots and tables into ``folder``."""
        yield from ()

    def architecture(self, recipe: Any, vocabulary: Mapping[str, Any]) -> tuple[Any, dict]:
        """The class of the model and its arguments."""
        return self.model, self.options(recipe, vocabulary)

    def build(
        self,
        recipe: Any = None,
        vocabulary: Mapping[str, Any] | None = None,
        *,
        init: Init = "torch",
        rngs: nnx.Rngs,
    ) -> Any:
        """A fresh model.

        Args:
            recipe: hyperparameters; None uses the lesson's.
            vocabulary: that of the data, required by lessons on data sets.
            init: initial distribution of the weights. Default ``"torch"``.
            rngs: ``nnx.Rngs``, source of the initial weights.
        """
        kind, options = self.architecture(recipe or self.recipe, vocabulary or {})
        return kind(**options, init=init, rngs=rngs)

    def draw(
        self,
        seed: int,
        recipe: Any = None,
        vocabulary: Mapping[str, Any] | None = None,
        *,
        init: Init = "torch",
    ) -> Any:
        """The model of ``build`` with ``nnx.Rngs(seed)``, built by one compiled program.

        Weights are equal bit for bit with ``init="torch"``, and up to rounding for orthogonal ones.
        """

        @nnx.jit
        def drawn(seed):
            rngs = nnx.Rngs(jax.random.key(seed))
            return self.build(recipe, vocabulary, init=init, rngs=rngs)

        return drawn(np.uint32(seed))

    def fit(
        self, model: Any, recipe: Any = None, data: Data | None = None, **options: Any
    ) -> History:
        """Train ``model`` in place by a recipe; return the history of its losses.

        Args:
            model: the model.
            recipe: hyperparameters; None uses the lesson's.
            data: the data; None reads it.
            options: further arguments of ``jax_rnn.train.fit``, or others in place of the recipe's.
        """
        recipe = recipe or self.recipe
        data = self.read(recipe) if data is None else data
        planned = {
            "steps": recipe.steps,
            "optimizer": optimizer(recipe),
            "carry": self.carry(model, self.batch_size(recipe)),
            "seed": recipe.seed if recipe.dropout else None,
            "accumulate": recipe.accumulate,
            "compute_dtype": jnp.bfloat16 if recipe.dtype == "bfloat16" else None,
            "description": self.name,
        }
        return fit(model, self.loss, self.batches(recipe, data), **(planned | options))

    def sweep(
        self,
        seeds: int,
        preset: str | None = None,
        *,
        recipe: Any = None,
        init: Init = "torch",
        seeds_per_call: int | None = None,
    ) -> History:
        """Train with seeds 0 to ``seeds - 1``, weights, dropout and the order of the data included.

        Args:
            seeds: number of trainings.
            preset: name of the hyperparameters; None uses the lesson's.
            recipe: hyperparameters instead of the preset's.
            init: initial distribution of the weights. Default ``"torch"``.
            seeds_per_call: number of simultaneous trainings; None uses as many as fit into memory.

        Returns:
            The history with a leading axis of seeds, see ``fit_seed_batches``.
        """
        recipe = recipe or self.preset(preset)
        data = self.read(recipe)
        plan = SeedPlan(
            build=lambda rngs: self.build(recipe, data.vocabulary, init=init, rngs=rngs),
            loss=self.loss,
            optimizer=optimizer(recipe),
            carry=lambda model: self.carry(model, self.batch_size(recipe)),
            dropout=recipe.dropout > 0,
            accumulate=recipe.accumulate,
            compute_dtype=jnp.bfloat16 if recipe.dtype == "bfloat16" else None,
        )
        return fit_seed_batches(
            plan,
            lambda seed: self.batches(replace(recipe, seed=seed), data),
            seeds=range(seeds),
            steps=recipe.steps,
            evaluate=lambda model: self.evaluate(model, data),
            seeds_per_call=seeds_per_call,
            description=f"{self.name}, {seeds} seeds",
        )
