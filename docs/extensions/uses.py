"""The public names of jax_rnn that the program of a lesson uses."""

from importlib import import_module
from types import ModuleType

import jax_rnn
from jax_rnn.lecture.teaching import parts

__all__ = ["used_by"]

LESSONS = "jax_rnn.lecture.lessons"


def used_by(lesson: str) -> list[str]:
    """Names in ``jax_rnn.__all__``, also of a lesson whose model this one takes."""
    names = {id(getattr(jax_rnn, name)): name for name in jax_rnn.__all__}
    found: set[str] = set()
    for module in _modules(lesson):
        values = [*vars(module).values()]
        if parts.LAYERS in values or parts.recurrent in values:
            values += parts.LAYERS.values()
        found |= {names[id(value)] for value in values if id(value) in names}
    return sorted(found)


def _modules(lesson: str) -> list[ModuleType]:
    """The module of the lesson, and those of its classes."""
    module = import_module(f"{LESSONS}.{lesson}")
    homes = {value.__module__ for value in vars(module).values() if isinstance(value, type)}
    return [module, *(import_module(home) for home in homes if home.startswith(f"{LESSONS}."))]
