"""`neural-style painters`: the painters in the package, or in files, with their styles."""

from __future__ import annotations

from .. import files, painters
from ..settings import PROGRAM
from .parser import Parser


def main(argv: list[str]) -> int:
    """List painters. Raises OSError or ValueError for a file that is none."""
    parser = Parser(
        prog=f"{PROGRAM} painters",
        description="List the painters in the package, or those in files, with their styles and "
        "what made them.",
    )
    parser.add_argument("painter", nargs="*", metavar="PAINTER", help="a .keras file")
    for name in parser.parse_args(argv).painter or painters.NAMES:
        path, config = painters.find(name), painters.read_config(name)
        about = config["about"]
        print(f"{name}: {config['architecture']}, {path.stat().st_size / 1e6:.1f} MB")
        learnt = ", ".join(painters.styles(config))
        print(f"    styles: {'any, by its picture' if config['any_style'] else learnt}")
        if "steps" in about:
            before = len(about.get("made", ())) - 1
            told = f", after {before} other training{'s' * (before > 1)}" if before > 0 else ""
            print(f"    trained for {about['steps']} steps ({about['minutes']} min){told}")
        if about.get("licence"):
            print(f"    licence: {about['licence']}")
        print(f"    {path}")
        print(f"    sha256 {files.sha256(path)}")
    return 0
