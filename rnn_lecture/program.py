"""A lesson on a word with the models that a program adds to its facts."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from rnn_lecture.recipe import WordRecipe
from rnn_lecture.words import Words

__all__ = ["WordProgram"]


def no_explanation(model: Any) -> Iterable[str]:
    return ()


@dataclass(frozen=True, eq=False, kw_only=True)
class WordProgram(Words):
    """The facts of one lesson and the models of one framework.

    Attributes:
        model: builds the model of the lesson.
        variants: other models for the same task, by name; each is also a preset.
        explain: lines that answer the slide's question, from the trained model.
    """

    model: Callable[..., Any]
    variants: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    explain: Callable[[Any], Iterable[str]] = no_explanation

    @property
    def recipes(self) -> dict[str, WordRecipe]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return {name: replace(self.recipe, variant=name) for name in self.variants}

    def builder(self, recipe: WordRecipe) -> Callable[..., Any]:
        """What builds the model of a recipe. ValueError: an unknown variant."""
        if recipe.variant and recipe.variant not in self.variants:
            known = ", ".join(self.variants) or "none"
            raise ValueError(
                f"{self.name} has no variant {recipe.variant!r}; expected one of: {known}"
            )
        return self.variants[recipe.variant] if recipe.variant else self.model
