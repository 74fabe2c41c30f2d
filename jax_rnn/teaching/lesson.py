"""The definition of a lesson: facts, a model, its loss and its evaluation."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import jax
import numpy as np
from flax import nnx

from jax_rnn.initializers import Init
from jax_rnn.train.history import History
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
