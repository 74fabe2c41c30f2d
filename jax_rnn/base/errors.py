"""Errors of arguments, which name the argument."""

__all__ = ["ArgumentError", "ArgumentTypeError"]


class ArgumentError(ValueError):
    """An argument has a value that is not accepted.

    Attributes:
        argument: name of the argument; the message starts with it.
        reason: what was expected, what came, and what to do.
    """

    def __init__(self, argument: str, reason: str):
        super().__init__(f"{argument}: {reason}")
        self.argument, self.reason = argument, reason


class ArgumentTypeError(TypeError):
    """An argument has another type than expected; attributes as of ``ArgumentError``."""

    def __init__(self, argument: str, reason: str):
        super().__init__(f"{argument}: {reason}")
        self.argument, self.reason = argument, reason
