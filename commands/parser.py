"""argparse as every command uses it."""

from __future__ import annotations

import argparse
import difflib

from ..settings import PROGRAM


class Parser(argparse.ArgumentParser):
    """argparse, but an error is one sentence instead of a page of usage."""

    def __init__(self, **options):
        super().__init__(**options, allow_abbrev=False)

    def error(self, message):
        self.exit(2, f"{PROGRAM}: error: {message} (see --help)\n")

    def parse_args(self, args=None, namespace=None):
        """As argparse, with what was probably meant where a flag is not known."""
        parsed, unknown = self.parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}{self._meant(unknown)}")
        return parsed

    def _meant(self, unknown: list[str]) -> str:
        flags = [flag for action in self._actions for flag in action.option_strings]
        for word in unknown:
            if word.startswith("--"):
                close = difflib.get_close_matches(word.partition("=")[0], flags, n=1)
                if close:
                    return f"; did you mean {close[0]}?"
        return ""
