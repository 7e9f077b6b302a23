"""`neural-style networks`: the networks by name, and where they are; `... fetch NAME`."""

from __future__ import annotations

from .. import files, networks
from ..settings import PROGRAM
from .parser import Parser


def main(argv: list[str]) -> int:
    """List the networks, or fetch one. Raises OSError where one cannot be fetched."""
    arguments = build_parser().parse_args(argv)
    if arguments.action == "fetch":
        print(networks.find(arguments.name, arguments.quiet))
        return 0
    for name in networks.NAMES[1:]:
        path = networks.there(name)
        print(f"{name}: {networks.ABOUT[name]}")
        if path is None:
            print(f"    not on this machine; {PROGRAM} networks fetch {name} fetches it")
            continue
        print(f"    {path}, {path.stat().st_size / 1e6:.1f} MB")
        print(f"    sha256 {files.sha256(path)}")
    chosen = networks.there("vgg19") or networks.COMPACT
    print(f"auto: {'compact' if chosen == networks.COMPACT else 'vgg19'}, at present")
    return 0


def build_parser() -> Parser:
    parser = Parser(
        prog=f"{PROGRAM} networks",
        description="List the networks that --network takes by name, with the file of each on this "
        "machine, its size and its SHA-256; or fetch a published one, once.",
    )
    parser.set_defaults(action="list")
    actions = parser.add_subparsers(metavar="fetch NAME")
    fetch = actions.add_parser("fetch", help="fetch a published network into the cache folder")
    fetch.set_defaults(action="fetch")
    fetch.add_argument("name", choices=list(networks.SOURCES), metavar="NAME")
    fetch.add_argument("--quiet", action="store_true", help="show no progress bar")
    return parser
