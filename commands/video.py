"""`neural-style video`: a film, painted frame by frame."""

from __future__ import annotations

import dataclasses

from ..files import local
from ..settings import NO_PAINTER, PROGRAM, Film, Settings, preset
from .parser import Parser, add_flags

PRESET = "fast"  # whose pictures a film takes a tenth of the time with
UNPAINTED = {"painter": None}  # here, a painter that is named paints every frame


def main(argv: list[str]) -> int:
    """Paint a film. Raises OSError or ValueError in one sentence; exits with 2 for arguments that
    cannot be right."""
    from ..video import film

    parser = build_parser()
    arguments = parser.parse_args(argv)
    try:
        job = job_of(vars(arguments))
        film.check_arguments(job)
    except ValueError as error:
        parser.error(str(error))
    return film.run(job)


def job_of(chosen: dict):
    """The film that a command line asks for; ValueError for a value out of its range."""
    from .. import painters
    from ..video.film import FilmJob

    chosen = dict(chosen)
    content, styles, output = (chosen.pop(name) for name in ("content", "styles", "output"))
    recipe = chosen.pop("preset")
    of_film = {name: chosen.pop(name) for name in Film.__dataclass_fields__ if name in chosen}
    painter = chosen.get("painter")
    if painter == NO_PAINTER:
        painter = None
    # A painter for any style takes --styles where others take --style. With --styles besides, the
    # painter begins the first frame, as it begins a picture.
    alone = painter and (not styles or painters.read_config(painter)["any_style"])
    if alone:
        # Nothing is optimised: the painter's styles are what there is to mix.
        recipe = recipe or "neural-style"
    settings = preset(recipe or PRESET, **UNPAINTED | chosen)
    settings.check_given(chosen)
    return FilmJob(
        local(content),
        [local(style) for style in styles],
        local(output),
        settings,
        Film(**of_film),
        is_optimised=not alone,
    )


def build_parser() -> Parser:
    from ..video.film import WITHOUT

    parser = Parser(
        prog=f"{PROGRAM} video",
        description="Paint a film, each frame held to the one before: optimised, with --styles, or "
        "by a painter, with --painter and --style, in a fraction of a second each.",
        epilog="With --styles as well, a painter with styles of its own begins the first frame.",
    )
    needed = parser.add_argument_group("choose the film and the styles")
    needed.add_argument("--content", required=True, metavar="FILM", help="the film to paint")
    needed.add_argument(
        "--styles", nargs="+", default=[], metavar="PICTURE", help="one or more paintings"
    )
    needed.add_argument("--output", required=True, metavar="FILM", help="what to write, as out.mp4")
    needed.add_argument(
        "--preset",
        metavar="NAME",
        help=f"a published recipe, which any other flag overrides in part (default: {PRESET})",
    )
    add_flags(parser, Film)
    names = [f.name for f in dataclasses.fields(Settings) if f.name not in WITHOUT]
    add_flags(parser, Settings, names, preset(PRESET, **UNPAINTED).picture())
    return parser
