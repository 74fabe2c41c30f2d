"""The public names of the library, each with the one page that documents it."""

import inspect
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["NAMESPACES", "Public", "module_of", "names_of", "public"]

EXAMPLES = Path(__file__).parents[1] / "reference" / "examples"

NAMESPACES = (
    "jax_rnn",
    "jax_rnn.cells",
    "jax_rnn.layers",
    "jax_rnn.scans",
    "jax_rnn.train",
    "jax_rnn.data",
    "jax_rnn.interop",
    "jax_rnn.testing",
    "jax_rnn.analysis",
    "jax_rnn.probes",
    "jax_rnn.initializers",
)
"""A name is documented in the first of those that have it."""


class Public(NamedTuple):
    """A public name."""

    name: str
    namespace: str
    value: Any
    others: tuple[str, ...]
    """Other namespaces that have it."""

    @property
    def path(self) -> str:
        return f"{self.namespace}.{self.name}"

    @property
    def kind(self) -> str:
        """The kind of autodoc's directive."""
        if inspect.isclass(self.value):
            return "exception" if issubclass(self.value, BaseException) else "class"
        return "function" if inspect.isroutine(self.value) else "data"

    @property
    def example(self) -> Path:
        """The file with its example, which the page shows."""
        return EXAMPLES / f"{self.path}.py"


@cache
def public() -> dict[str, Public]:
    """Every public name, modules aside."""
    found: dict[str, Public] = {}
    for namespace in NAMESPACES:
        for name in names_of(namespace):
            if name in found:
                first = found[name]
                found[name] = first._replace(others=(*first.others, namespace))
            else:
                value = getattr(module_of(namespace), name)
                found[name] = Public(name, namespace, value, ())
    return found


def names_of(namespace: str) -> list[str]:
    module = module_of(namespace)
    return [name for name in module.__all__ if not inspect.ismodule(getattr(module, name))]


def module_of(namespace: str) -> Any:
    """The module of a namespace; that of the initializers has another name."""
    if namespace == "jax_rnn.initializers":
        return import_module("jax_rnn.base.initializers")
    return import_module(namespace)
