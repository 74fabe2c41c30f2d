"""Parse command lines: a function is a command, its signature and docstring are the options.

A parameter before ``*`` is a positional argument, one after it an option. ``bool`` is a flag,
``Literal`` a choice, ``bool | Path`` a flag that may have a value. ``Annotated[int, "K"]`` names
the value in the help. A final underscore is not part of a name: ``pass_`` is ``--pass``.
"""

import argparse
import inspect
import re
import shutil
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, NamedTuple, NoReturn, get_args, get_origin
from typing import get_type_hints as annotations

from jax_rnn.app.failures import UsageError
from jax_rnn.base.console import printable

__all__ = ["HELP", "Command", "More", "filled", "shown"]

HELP = {"-h", "--help"}
NARROWEST, LONGEST = 40, 60
"""Columns of the help, and characters of a word in a message."""

VALUES = {
    int: ("N", "a whole number"),
    float: ("X", "a number"),
    str: ("TEXT", "text"),
    Path: ("FILE", "the name of a file or folder"),
}
"""Type -> how the help names a value, and what a message expects."""


class More(NamedTuple):
    """Options that are known only after others: the fields of a dataclass.

    Attributes:
        call: is called with those that were given, by name.
        fields: an instance, whose values are the defaults.
        description: what the command does with them.
        absent: names of options without a meaning here, which the help leaves out.
    """

    call: Callable[[dict[str, Any]], None]
    fields: Any
    description: str
    absent: frozenset[str] = frozenset()


class Option(NamedTuple):
    """An option, or a positional argument, for a parameter or a field.

    Attributes:
        name, annotation: of the parameter.
        default, text: in the help.
        positional: whether it is a positional argument.
        none: whether None is a value, and not only the default.
    """

    name: str
    annotation: Any
    default: Any
    text: str
    positional: bool = False
    none: bool = False

    @property
    def flag(self) -> str:
        return f"--{self.name.rstrip('_').replace('_', '-')}"

    def add_to(self, group: Any, help: str) -> str:
        """Add it to a parser; return how a message names it."""
        annotation, metavar = self.annotation, ""
        if get_origin(annotation) is Annotated:
            annotation, metavar = get_args(annotation)
        union = () if get_origin(annotation) is Literal else get_args(annotation)
        kinds = [kind for kind in union or [annotation] if kind not in (NoneType, ...)]
        kind, none = kinds[-1], self.none and NoneType in union
        choices = get_args(kind) if get_origin(kind) is Literal else ()
        metavar = (metavar or "|".join(choices) or VALUES[kind][0]) if kind is not bool else ""
        options: dict[str, Any] = {"default": argparse.SUPPRESS, "help": help}
        if kind is bool:
            options["action"] = "store_true"
        else:
            options["metavar"] = metavar + "|none" * none
            options["type"] = lambda word: _value(word, choices or kind, none)
        if get_origin(annotation) is tuple:
            options["nargs"] = "*"
        elif bool in kinds[:-1]:
            options |= {"nargs": "?", "const": True}
        if self.positional:
            group.add_argument(self.name, **options)
            return metavar
        required = self.default is inspect.Parameter.empty
        group.add_argument(self.flag, dest=self.name, required=required, **options)
        return self.flag


def _value(word: str, kind: Any, none: bool) -> Any:
    """The value of this type, or among these, that a word means. ArgumentTypeError: it is none."""
    if none and word.lower() == "none":
        return None
    if isinstance(kind, tuple):
        expected = f"one of {', '.join(kind)}"
        if word in kind:
            return word
    else:
        expected = VALUES[kind][1]
        if kind is not Path or word.strip():
            try:
                return kind(word)
            except ValueError:
                pass
    raise argparse.ArgumentTypeError(f"expected {expected}, got {shown(word)}")


NO_CACHE = Option("no_compilation_cache", bool, False, "Do not cache compiled programs.")
"""An option of every command."""


class Command:
    """A function as a command.

    Args:
        name: the words that call it.
        function: is called with what was given. If it returns ``More``, its positional argument
            comes first, and the words that are no options of it are those of ``More``.
    """

    def __init__(self, name: str, function: Callable[..., Any]):
        self.name, self.function = name, function
        self.named: dict[str, str] = {}
        """Parameter -> how a message names it."""

    def run(self, words: Sequence[str], begin: Callable[[bool], None]) -> None:
        """Parse the words and call the function; ``begin(cache)`` is called in between.

        Raises:
            UsageError: words that cannot be read.
        """
        own = [*_parameters(self.function), NO_CACHE]
        staged = annotations(self.function).get("return") is More
        if staged and not HELP & {*words[:1]}:
            self._run_in_two(words, own, begin)
            return
        given, rest = self._read(words, own, inspect.getdoc(self.function) or "")
        self._refuse(rest)
        begin(not given.pop(NO_CACHE.name, False))
        self.function(**given)

    def _run_in_two(
        self, words: Sequence[str], own: Sequence[Option], begin: Callable[[bool], None]
    ) -> None:
        (place, *own), rest = own, list(words)
        first = {place.name: rest.pop(0)} if rest and not rest[0].startswith("-") else {}
        self.name = " ".join([self.name, *first.values()])
        given, rest = self._read(rest, own)
        begin(not given.pop(NO_CACHE.name, False))
        more: More = self.function(**first, **given)
        own, entries = (
            [option for option in part if option.name not in more.absent]
            for part in (own, _fields(more.fields))
        )
        given, rest = self._read(rest, own, more.description, entries)
        self._refuse(rest)
        more.call(given)

    def _read(
        self,
        words: Sequence[str],
        own: Sequence[Option],
        text: str | None = None,
        more: Sequence[Option] = (),
    ) -> tuple[dict[str, Any], list[str]]:
        """What was given, by name, and the other words; without a text there is no help."""
        parser = _Parser(
            prog=self.name,
            description=_description(text or ""),
            formatter_class=_Formatter,
            add_help=False,
            allow_abbrev=False,
            exit_on_error=False,
        )
        flags = {option.name: option.flag for option in (*own, *more) if not option.positional}
        places, options, further = map(
            parser.add_argument_group, ("arguments", "options", "hyperparameters")
        )
        if text is not None:
            options.add_argument("-h", "--help", action="help", help="Print this help.")
        for option in (*own, *more):
            group = places if option.positional else further if option in more else options
            self.named[option.name] = option.add_to(group, _help(option, flags))
        arguments = [self.named[option.name] for option in own if option.positional]
        parser.usage = " ".join([self.name, *arguments, "[OPTIONS]"])
        try:
            given, rest = parser.parse_known_intermixed_args(words)
        except argparse.ArgumentError as error:
            wrong_value = isinstance(error.__context__, argparse.ArgumentTypeError)
            hint = "" if wrong_value else f"; see `{self.name} --help`"
            raise UsageError(f"{error.argument_name}: {error.message}{hint}") from error
        return vars(given), rest

    def _refuse(self, words: Sequence[str]) -> None:
        """Check that no word is left. UsageError: names the most similar option."""
        if words:
            word = words[0].partition("=")[0]
            what = "option" if word.startswith("-") else "argument"
            flags = [name for name in self.named.values() if name.startswith("--")]
            nearest = get_close_matches(word, flags, n=1)
            hint = f"did you mean {nearest[0]}? " if nearest else ""
            raise UsageError(
                f"unexpected {what} {shown(word)}; {hint}`{self.name} --help` lists the options"
            )


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:  # called where something required is missing
        missing = message.rpartition(": ")[2]
        raise UsageError(f"expected {missing}, got none; see `{self.prog} --help`")


class _Formatter(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str):
        super().__init__(prog, max_help_position=26, width=columns())

    def _split_lines(self, text: str, width: int) -> list[str]:
        return textwrap.wrap(text, width, break_on_hyphens=False)


def columns() -> int:
    return max(shutil.get_terminal_size().columns, NARROWEST)


def shown(word: str) -> str:
    """A word of the command line, as a message repeats it."""
    return printable(repr(word), LONGEST)


def _parameters(function: Callable[..., Any]) -> Iterator[Option]:
    kinds, texts = annotations(function, include_extras=True), _texts(function)
    for name, parameter in inspect.signature(function).parameters.items():
        positional = parameter.kind is not parameter.KEYWORD_ONLY
        yield Option(name, kinds[name], parameter.default, texts[name], positional)


def _fields(values: Any) -> Iterator[Option]:
    """The fields of a dataclass, whose docstring or those of its bases describe them."""
    kinds, texts = annotations(type(values)), {}
    for kind in reversed(type(values).__mro__):
        texts |= _texts(kind)
    for name in (field.name for field in fields(values)):
        yield Option(name, kinds[name], getattr(values, name), texts.get(name, ""), none=True)


def _texts(documented: Any) -> dict[str, str]:
    """The entries of ``Args:`` or ``Attributes:`` in a docstring."""
    text = inspect.getdoc(documented) or ""
    section = re.search(r"^(?:Args|Attributes):\n((?:    .*\n?)+)", text, re.M)
    entries = re.split(r"^    (?=\w+: )", section[1], flags=re.M) if section else ()
    pairs = (entry.partition(": ") for entry in entries if entry)
    return {name: " ".join(text.split()) for name, _, text in pairs}


def _help(option: Option, flags: Mapping[str, str]) -> str:
    """The text of an option with its default; other options are named by their flags."""
    text = re.sub(r"``(\w+)``", lambda name: flags.get(name[1], name[1]), option.text)
    text = text.replace("`", "'").replace("%", "%%")
    text, default = text[:1].upper() + text[1:], option.default
    if option.none:
        text = text.replace("None", "none")
        default = "none" if default is None else default
    if default in (None, "", (), inspect.Parameter.empty) or default is False:
        return text
    default = f"{default:g}" if isinstance(default, float) else default
    return f"{text.rstrip('.')} (default: {default})."


def _description(text: str) -> str:
    """A docstring without its sections, filled to the width of the help."""
    text = re.split(r"^(?:Args|Attributes):", text, flags=re.M)[0].strip().replace("`", "'")
    return "\n\n".join(map(filled, text.split("\n\n")))


def filled(paragraph: str, indent: int = 0) -> str:
    """A paragraph, or lines that start with ``$``, broken between words."""
    examples = paragraph.startswith("$ ")
    wrapper = textwrap.TextWrapper(
        columns(),
        initial_indent=" " * indent,
        subsequent_indent="    " if examples else " " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    lines = paragraph.split("\n") if examples else [" ".join(paragraph.split())]
    return "\n".join(map(wrapper.fill, lines)).lstrip()
