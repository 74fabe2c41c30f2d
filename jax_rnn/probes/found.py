"""Cells and tasks by name, or from a file of the user."""

import hashlib
import inspect
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, NamedTuple

from jax_rnn.base.errors import ArgumentError
from jax_rnn.cells.catalogue import CATALOGUE
from jax_rnn.probes.task import Task
from jax_rnn.probes.tasks.adding import Adding
from jax_rnn.probes.tasks.languages import AnBn, Dyck
from jax_rnn.probes.tasks.memory import Copying, SelectiveCopying
from jax_rnn.probes.tasks.real import CharLM, Digits
from jax_rnn.probes.tasks.recall import Recall
from jax_rnn.probes.tasks.tagging import S3, Parity

__all__ = ["CELLS", "TASKS", "Found", "find_cell", "find_task"]

CELLS = {name: entry.build for name, entry in CATALOGUE.items() if name != "conv_lstm"}
"""Cells of the library that read sequences of vectors."""

TASKS: dict[str, type[Task]] = {
    "parity": Parity,
    "s3": S3,
    "copying": Copying,
    "adding": Adding,
    "selective_copying": SelectiveCopying,
    "recall": Recall,
    "dyck": Dyck,
    "anbn": AnBn,
    "digits": Digits,
    "char_lm": CharLM,
}


class Found(NamedTuple):
    """What a word of the command line means.

    Attributes:
        name: how results call it.
        value: the function that builds the cell, or the task.
        source: SHA-256 of the user's file; empty for what is in the library.
    """

    name: str
    value: Any
    source: str = ""


def find_cell(word: str, argument: str = "cells") -> Found:
    """A cell by name, or ``FILE.py:NAME``, a class or function ``NAME(I, H, rngs=...)``.

    Raises:
        ArgumentError: there is no such cell.
    """
    return _find(argument, word, CELLS)


def find_task(word: str) -> Found:
    """A task by name, or ``FILE.py:NAME``, a subclass of ``Task``.

    Raises:
        ArgumentError: there is no such task.
    """
    found = _find("tasks", word, TASKS)
    if not (inspect.isclass(found.value) and issubclass(found.value, Task)):
        raise ArgumentError("tasks", f"expected a subclass of jax_rnn.probes.Task, got {word!r}")
    return found._replace(value=found.value())


def _find(argument: str, word: str, known: Mapping[str, Callable[..., Any]]) -> Found:
    if word in known:
        return Found(word, known[word])
    path, colon, name = word.rpartition(":")
    if not colon:
        nearest = get_close_matches(word, known, n=1)
        hint = f"; did you mean {nearest[0]}?" if nearest else ""
        names = ", ".join(known)
        reason = f"expected one of {names}, or FILE.py:NAME, got {word!r}{hint}"
        raise ArgumentError(argument, reason)
    file = Path(path)
    if not file.is_file():
        raise ArgumentError(
            argument, f"expected FILE.py:NAME, got {word!r}, but the file {path!r} does not exist"
        )
    spec = spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None:
        raise ArgumentError(argument, f"expected a Python file, FILE.py:NAME, got {word!r}")
    module = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        reason = f"expected a file that can be run, got {path} ({type(error).__name__}: {error})"
        raise ArgumentError(argument, reason) from error
    value = getattr(module, name, None)
    if not callable(value):
        raise ArgumentError(argument, f"expected a class or function {name!r} in {path}, got none")
    return Found(name, value, hashlib.sha256(file.read_bytes()).hexdigest())
