"""Methods that subclasses must leave as they are."""

from collections.abc import Callable
from inspect import getattr_static, signature
from typing import Any, TypeVar

__all__ = ["check_class", "final"]

MethodT = TypeVar("MethodT", bound=Callable[..., Any])

OPTIONAL = {"noise", "context"}
"""Arguments that a method of a cell takes or leaves out."""

CALLED: dict[str, tuple[str, ...]] = {
    "step": ("carry", "x"),
    "update": ("gates", "carry"),
    "hidden_input": ("carry",),
    "coefficients": ("x",),
    "output": ("carry", "x"),
    "before": ("x",),
    "on_read": ("h",),
    "on_update": ("old", "new", "y"),
    "after": ("y", "x"),
}
"""Methods that a subclass writes, and what they are called with."""

BEFORE_STEPS = ("project", "initialize_carry", "noise", "sequence_noise")
"""Methods that are called without noise and context."""


def final(place: str) -> Callable[[MethodT], MethodT]:
    """Decorator of a method that no subclass may define; ``place`` says where its code belongs."""

    def mark(method: MethodT) -> MethodT:
        method.place = place  # pyright: ignore[reportFunctionMemberAccess]
        return method

    return mark


def check_class(cls: type) -> None:
    """Check the methods of a subclass when it is defined.

    Raises:
        TypeError: a method that is final in a base class; arguments that no caller passes.
    """
    for base in cls.__mro__[1:]:
        for name, method in vars(base).items():
            place = getattr(getattr(method, "fget", method), "place", None)
            if place and getattr_static(cls, name) is not method:
                raise TypeError(
                    f"{cls.__name__}: expected {name} of {base.__name__} not to be overridden, got "
                    f"an override, which the fast scans would not call; {place}"
                )
    for name, needed in CALLED.items():
        method = vars(cls).get(name)
        if callable(method) and (unknown := _unknown(method, len(needed))):
            raise TypeError(
                f"{cls.__name__}.{name}: expected the arguments (self, {', '.join(needed)}), and "
                f"noise and context where they are used, got {', '.join(unknown)} too"
            )
    for name in BEFORE_STEPS:
        method = vars(cls).get(name)
        if callable(method) and (unknown := OPTIONAL & signature(method).parameters.keys()):
            raise TypeError(
                f"{cls.__name__}.{name}: expected no argument {', '.join(sorted(unknown))}, since "
                "it is called without; take it in a method of the step"
            )


def _unknown(method: Callable[..., Any], needed: int) -> list[str]:
    """Arguments without a default that a caller does not pass."""
    more = list(signature(method).parameters.values())[1 + needed :]
    named = [p for p in more if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    return [p.name for p in named if p.default is p.empty and p.name not in OPTIONAL]
