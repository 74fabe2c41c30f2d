"""The place of a public name in the repository, for the links "[source]"."""

import inspect
from pathlib import Path
from typing import Any

from docs.extensions.files import ROOT, address_of
from docs.extensions.public import module_of

__all__ = ["linkcode_resolve"]


def linkcode_resolve(domain: str, info: dict[str, str]) -> str | None:
    """The address of an object's lines; None for what has none, such as an attribute."""
    value: Any = module_of(info["module"])
    for name in info["fullname"].split("."):
        value = getattr(value, name, None)
    value = inspect.unwrap(value) if callable(value) else value
    try:
        lines, first = inspect.getsourcelines(value)
        path = Path(inspect.getfile(value))
    except (TypeError, OSError):
        return None
    if not path.is_relative_to(ROOT):
        return None
    return f"{address_of(path)}#L{first}-L{first + len(lines) - 1}"
