"""argparse as every command uses it."""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import sys
import typing
from collections.abc import Container, Mapping

from ..settings import PROGRAM, Settings, flag

# Flags of the main command, which not all commands have.
OF_MAIN = {flag(f.name) for f in dataclasses.fields(Settings)} | {"--preset", "--like"}


class Parser(argparse.ArgumentParser):
    """argparse, but an error is one sentence instead of a page of usage."""

    def __init__(self, **options):
        super().__init__(**options, allow_abbrev=False)

    def error(self, message):
        self.exit(2, f"{PROGRAM}: error: {message}{self._meant()} (see --help)\n")

    def parse_args(self, args=None, namespace=None):
        self._words = sys.argv[1:] if args is None else args
        return super().parse_args(args, namespace)

    def _meant(self) -> str:
        """What a flag that is not known was probably meant to be; empty where all are known."""
        flags = [flag for action in self._actions for flag in action.option_strings]
        for word in getattr(self, "_words", ()):
            name = word.partition("=")[0]
            if word.startswith("--") and name not in flags:
                if self.prog != PROGRAM and name in OF_MAIN:
                    return f"; {name} is of {PROGRAM} without {self.prog.removeprefix(PROGRAM)[1:]}"
                close = difflib.get_close_matches(name, flags, n=1)
                return f"; did you mean {close[0]}, not {name}?" if close else ""
        return ""


def add_flags(
    parser: argparse.ArgumentParser,
    settings: type,
    names: Container[str] | None = None,
    defaults: Mapping | None = None,
) -> None:
    """A flag for each field of a dataclass of settings, in the groups of --help; what is not given
    is not in the parsed arguments.

    Args:
        names: of the fields; None for all.
        defaults: that --help tells, where they are not the fields' own.
    """
    types = typing.get_type_hints(settings)
    groups = {group.title: group for group in parser._action_groups}
    for field in dataclasses.fields(settings):
        if names is not None and field.name not in names:
            continue
        rule, default = field.metadata, (defaults or {}).get(field.name, field.default)
        if rule["group"] not in groups:
            groups[rule["group"]] = parser.add_argument_group(rule["group"])
        text = help_text(field, default=default)
        options = dict(dest=field.name, default=argparse.SUPPRESS, help=text)
        if isinstance(field.default, bool):
            options["action"] = "store_false" if field.default else "store_true"
        else:
            # `tuple[float, ...] | None` takes several floats, `int | None` one int.
            kind = next(t for t in (typing.get_args(types[field.name]) or [types[field.name]]) if t)
            if typing.get_origin(kind) is tuple:
                kind, options["nargs"] = typing.get_args(kind)[0], "+"
            options.update(type=reader(kind), metavar=metavar(rule))
            if rule["bare"] is not None:
                options.update(nargs="?", const=rule["bare"])
        groups[rule["group"]].add_argument(flag(field.name), **options)


def reader(kind: type):
    """From a word to a value of a kind, for argparse, which names a kind in Python's words."""
    named = {int: "a whole number", float: "a number"}

    def read(word: str):
        try:
            return kind(word)
        except ValueError:
            raise argparse.ArgumentTypeError(f"takes {named[kind]}, not {word!r}") from None

    return read if kind in named else kind


def metavar(rule: Mapping) -> str:
    """How --help and the README's table call the value of a setting."""
    return rule["meta"] or "|".join(map(str, rule["choices"]))


def help_text(field: dataclasses.Field, escape: bool = True, default=...) -> str:
    """A setting's help with its default, for argparse (where a % is doubled) or for a table."""
    rule = field.metadata
    default = field.default if default is ... else default
    text = rule["help"]
    if not isinstance(default, bool):
        told = " ".join(map(str, default)) if isinstance(default, tuple) else default
        text += f" (default: {rule['none'] if default is None else told})"
    return text.replace("%", "%%") if escape else text
