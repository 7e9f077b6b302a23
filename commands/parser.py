"""argparse as every command uses it."""

from __future__ import annotations

import argparse
import difflib
import sys

from ..settings import PROGRAM


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
                close = difflib.get_close_matches(name, flags, n=1)
                return f"; did you mean {close[0]}, not {name}?" if close else ""
        return ""
