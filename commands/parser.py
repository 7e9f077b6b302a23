"""argparse as every command uses it."""

from __future__ import annotations

import argparse

from ..settings import PROGRAM


class Parser(argparse.ArgumentParser):
    """argparse, but an error is one sentence instead of a page of usage."""

    def __init__(self, **options):
        super().__init__(**options, allow_abbrev=False)

    def error(self, message):
        self.exit(2, f"{PROGRAM}: error: {message} (see --help)\n")
