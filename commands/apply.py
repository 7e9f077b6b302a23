"""`neural-style apply`: paint photographs, or textures, with a painter."""

from __future__ import annotations

import argparse

from ..files import local
from ..settings import PROGRAM, Settings
from .parser import Parser, add_flags, reader

SETTINGS = (
    "width",
    "height",
    "style_blend_weights",
    "refine",
    "colors",
    "preserve_colors",
    "color_space",
    "alpha",
    "depth",
    "seed",
    "overwrite",
    "device",
    "tile",
    "cluster",
    "cluster_cpus",
    "cluster_gpus",
    "quiet",
    "debug",
)


def main(argv: list[str]) -> int:
    """Paint. Raises OSError or ValueError in one sentence; exits with 2 for arguments that cannot
    be right."""
    from ..runs import many, painting

    parser = build_parser()
    arguments = parser.parse_args(argv)
    try:
        chosen = vars(arguments)
        names = (*SETTINGS, "strength")
        settings = Settings(**{name: chosen[name] for name in names if name in chosen})
        settings.check_given(chosen | {"paints": True})
        job = painting.PaintingJob(
            arguments.painter,
            arguments.style,
            many.contents(arguments.content),
            arguments.output,
            settings,
            arguments.each_style,
            [local(path) for path in arguments.styles],
        )
        painting.check_arguments(job)
        if settings.cluster:
            from ..cluster import painting as on_cluster
            from ..cluster.connection import check_ray

            check_ray()
    except ValueError as error:
        parser.error(str(error))
    return on_cluster.run(job) if settings.cluster else painting.run(job)


def build_parser() -> Parser:
    parser = Parser(
        prog=f"{PROGRAM} apply",
        description="Paint photographs in one pass, with a painter that has learnt its styles.",
        epilog=f"{PROGRAM} painters lists those in the package; {PROGRAM} train makes others.",
    )
    needed = parser.add_argument_group("choose the painter and the pictures")
    needed.add_argument(
        "--painter",
        required=True,
        metavar="PAINTER",
        help="paintbox or any, which are in the package, or a .keras file",
    )
    needed.add_argument(
        "--style",
        nargs="+",
        metavar="NAME",
        help="one of its styles, or several, to be mixed (default: the only one)",
    )
    needed.add_argument(
        "--styles",
        nargs="+",
        default=[],
        metavar="PICTURE",
        help="for a painter for any style, a painting, or several, to be mixed",
    )
    needed.add_argument(
        "--strength",
        type=reader(float),
        default=argparse.SUPPRESS,
        metavar="STRENGTH",
        help="of a painter for any style, from the photograph, 0, to the painting, 1 (default: 1)",
    )
    needed.add_argument(
        "--content",
        nargs="+",
        default=[],
        metavar="PICTURE",
        help="one or more photographs, or a folder of them; none for a painter of textures",
    )
    needed.add_argument(
        "--output",
        required=True,
        metavar="PICTURE",
        help="what to write; of several photographs, as 'out/{name}.png'",
    )
    needed.add_argument(
        "--each-style",
        action="store_true",
        help="each photograph in each style by itself, as 'out/{name}-{style}.png'; in all that "
        "the painter has, without --style",
    )
    add_flags(parser, Settings, SETTINGS)
    return parser
