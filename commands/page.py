"""`neural-style page`: all this on a page in the browser."""

from __future__ import annotations

from ..settings import PASSWORD, PROGRAM, Page, Settings
from .parser import Parser, add_flags

SETTINGS = ("network", "device", "debug")


def main(argv: list[str]) -> int:
    """Serve the page until Ctrl-C. Raises OSError or ValueError in one sentence; exits with 2 for
    arguments that cannot be right."""
    parser = build_parser()
    chosen = vars(parser.parse_args(argv))
    try:
        settings = Settings(**{name: chosen.pop(name) for name in SETTINGS if name in chosen})
        page = Page(**chosen)
    except ValueError as error:
        parser.error(str(error))
    from ..page.server import serve

    return serve(page, settings.network, settings.device, settings.debug)


def build_parser() -> Parser:
    parser = Parser(
        prog=f"{PROGRAM} page",
        description="Serve a page on which photographs are painted, for a browser on this machine.",
        epilog=f"With --user the password is asked for, or taken from {PASSWORD}. Between machines "
        "it travels as it is: put a server that speaks HTTPS before the page.",
    )
    add_flags(parser, Page)
    add_flags(parser, Settings, SETTINGS)
    return parser
