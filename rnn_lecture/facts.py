"""What both programs of a lesson have in common."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

from jax_rnn.data.dataset import Data
from rnn_lecture.recipe import BaseRecipe

__all__ = ["Facts"]


class Facts(ABC):
    """The facts of one lesson; a program inherits them and adds the model.

    Attributes:
        name: name of the lesson and of its file.
        slide: title or number of the slide in the lecture.
        teaches: one sentence on what the lesson shows.
        recipe: default hyperparameters.
        recipes: other sets of hyperparameters, by name.
        takes_text: whether the user may train it on a text of their own.
        trained: whether it trains; otherwise it only shows shapes.
        holds_out: whether part of the data is held out, to evaluate the model.
    """

    name: str
    slide: str
    teaches: str
    recipe: BaseRecipe
    recipes: Mapping[str, BaseRecipe] = MappingProxyType({})
    takes_text: ClassVar[bool] = False
    trained: bool = True
    holds_out: ClassVar[bool] = True

    @abstractmethod
    def read(self, recipe: Any, text: Path | None = None) -> Data:
        """The data, the same for every seed."""

    @abstractmethod
    def batches(self, recipe: Any, data: Data) -> Any:
        """The batches to train on: by number, as ``Shuffled`` gives them, or one dict of arrays."""

    def check_text(self, text: Path | None) -> None:
        """Check a text of the user. ValueError: the lesson has its own data."""
        if text is not None and not self.takes_text:
            raise ValueError(
                f"text: expected none, since {self.name} has its own data, got {text}; remove it"
            )

    def batch_size(self, recipe: Any) -> int:
        """Number of sequences in a batch."""
        return recipe.batch_size

    def preset(self, name: str | None = None) -> Any:
        """The hyperparameters of this name; None is the lesson's own.

        Raises:
            ValueError: an unknown name.
        """
        presets = {"default": self.recipe, **self.recipes}
        if name is not None and name not in presets:
            raise ValueError(f"preset: expected one of {', '.join(presets)}, got {name!r}")
        return presets[name or "default"]
