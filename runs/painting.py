"""One run of a painter from files to files."""

from __future__ import annotations

import dataclasses
import functools
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .. import files, painters, pictures
from ..settings import PROGRAM, TEXTURE_SIDE, VERSION, Settings
from . import checks, many
from .console import loading_keras, stop_signals, tell
from .job import Job
from .output import Output
from .progress import Reporter

if TYPE_CHECKING:
    import numpy as np

    from ..painters.architecture import Painter

RECORDED = ("width", "height", "colors", "color_space", "strength", "refine", "seed")


@dataclass(frozen=True)
class PaintingJob:
    """One run of `neural-style apply`."""

    painter: str
    style: list[str] | None  # names of the painter's styles
    contents: list[Path]  # none for textures
    output: str  # with a place for {name} where there are several
    settings: Settings
    each_style: bool = False  # by itself, of the styles or, if None are named, of all
    styles: Sequence[Path] = ()  # pictures of styles, for a painter for any style

    def jobs(self, styles: Sequence[str | Path]) -> list[Job]:
        """What is to be painted in these styles, a picture each; its styles are names, or pictures
        for a painter for any style."""
        asked = many.outputs(self.contents or [None], styles, self.output, self.each_style)
        is_many = many.is_pattern(self.output)
        return [Job(content, group, path, self.settings, is_many) for content, group, path in asked]


def check_arguments(job: PaintingJob) -> None:
    """Raise ValueError for arguments that cannot be right, whatever the files hold."""
    s = job.settings
    if job.style and job.styles:
        raise ValueError("--style names a style of the painter's, and --styles are pictures")
    styles = job.style or job.styles
    for one in job.jobs(styles or ["all"]):
        pictures.check_extension(one.output, s.depth)
        checks.check_apart([*job.contents, *job.styles], [one.output])
    if styles:
        s.check_styles(1 if job.each_style else len(styles))
    if s.colors == "content":
        pictures.check_color_space(s.color_space)
    if s.height is not None and job.contents:
        raise ValueError("--height is that of a texture; a photograph's follows its width")


def run(job: PaintingJob, load: Callable[[str], Painter] = painters.load) -> int:
    """Do it. Returns the exit code; raises OSError or ValueError in one sentence.

    Args:
        job: the pictures, and how.
        load: from a painter's name or file to the painter.
    """
    jobs = asked(job)
    s, is_many = job.settings, jobs[0].is_one_of_many
    sizes = {} if is_many else {jobs[0].output: checked(jobs[0])}
    reporter = Reporter(s.quiet, is_many)
    with stop_signals() as signals:
        with loading_keras(s.debug):
            from .. import backend
        with backend.device(s.device):
            painter = load(job.painter)
            file = files.named(painters.find(job.painter))

            style = styles_for(painter.get_config(), s, lambda: painter)

            def paint(one):
                about = describe(one, file)
                if is_there(one, about):
                    return None
                size = sizes.get(one.output) or checked(one)
                output, picture = read(one, size)
                if s.refine and not is_many:
                    reporter.say("painting {}x{} pixels, {} steps more".format(*size, s.refine))
                how = style(one, picture)
                painted, tile = painted_by(painter, picture, how, s, bool(one.content))
                write(one, output, painted, tile, about, reporter)
                return 0

            if is_many:
                return many.each(jobs, paint, signals, reporter, s.debug)
            if signals:
                tell(f"{PROGRAM}: interrupted; nothing was written", sys.stderr)
                return 128 + signals[0]
            return paint(*jobs)


def asked(job: PaintingJob) -> list[Job]:
    """What is to be painted, and in which styles.

    Raises OSError or ValueError for a painter that is none, or cannot paint that.
    """
    config, s = painters.read_config(job.painter), job.settings
    painters.check_styles(job.painter, config, job.style, job.styles)
    painters.check_how(job.painter, config, s.strength, s.refine)
    if config["of_photographs"] and not job.contents:
        raise ValueError(f"{job.painter} paints photographs: name one with --content")
    if job.contents and not config["of_photographs"]:
        raise ValueError(f"{job.painter} paints textures: leave --content out")
    if config["any_style"]:
        for path in job.styles:
            pictures.size(path)  # which says if it is no picture
        return job.jobs(job.styles)
    if s.colors == "match":
        raise ValueError(
            f"--colors match recolours pictures of styles, and {job.painter} has learnt its own"
        )
    names = painters.styles(config)
    styles = job.style or (names if job.each_style else names[:1])
    for style in styles if job.each_style else [job.style]:
        painters.shares_asked(names, [style] if job.each_style else style, s)
    return job.jobs(styles)


def styles_for(config: dict, settings: Settings, painter: Callable[[], Painter]) -> Callable:
    """A function of a job and its content, (H, W, 3), that gives what `paint` is to be given: how
    much of each of a painter's styles, or what a painter for any style makes of pictures. Unless
    they take the colours of each content, it looks at those once.

    Args:
        config: the painter's.
        settings: with the shares of the styles.
        painter: gives the painter, if it is needed.
    """

    def embedded(*styles: Path, content=None):
        from ..painters.painting import embed_styles

        drawn = [pictures.read(path) for path in styles]
        if content is not None:
            drawn = [pictures.match_colors(style, content) for style in drawn]
        return embed_styles(painter(), drawn, settings.style_shares(len(drawn)))

    once = functools.cache(embedded)

    def style(job: Job, content: np.ndarray):
        if not config["any_style"]:
            return painters.shares_asked(painters.styles(config), job.styles, settings)
        if settings.colors == "match":
            return embedded(*job.styles, content=content)
        return once(*job.styles)

    return style


def is_there(job: Job, about: dict) -> bool:
    """Whether the output is there, and is what it would become; of many pictures alone."""
    from .description import is_complete

    return job.is_one_of_many and is_complete(pictures.comment(job.output), about)


def checked(job: Job) -> tuple[int, int]:
    """Width and height of what is to be painted. Raises OSError or ValueError for an input that
    cannot be read, or an output that would be lost."""
    s = job.settings
    if job.content:
        [size] = s.sizes([pictures.size(job.content)])
    else:
        [size] = dataclasses.replace(s, width=s.width or TEXTURE_SIDE).sizes([None])
    checks.check_format(job.output, *size)
    # Nothing is left of a picture that is not whole: there is no state to go on with.
    checks.check_outputs([job.output], job.state, s.overwrite, s.overwrite)
    return size


def describe(job: Job, painter: dict) -> dict:
    """What the picture is made from and how."""
    from .. import backend

    settings = dataclasses.asdict(job.settings)
    return {
        PROGRAM: VERSION,
        "backend": backend.version(),
        "content": files.named(job.content) if job.content else None,
        "painter": painter,
        **described_styles(job.styles, job.settings),
        "settings": {name: settings[name] for name in RECORDED},
    }


def described_styles(styles: Sequence[str | Path], settings: Settings) -> dict:
    """How much of each style there is, by the names of a painter's, or of pictures."""
    shares = [round(share, 6) for share in settings.style_shares(len(styles))]
    if not isinstance(styles[0], Path):
        return {"shares": dict(zip(styles, shares))}
    return {"styles": [files.named(path) for path in styles], "shares": shares}


def read(job: Job, size: tuple[int, int]) -> tuple[Output, np.ndarray]:
    """How it is written, and the content at the size of the output; of a texture, black."""
    import numpy as np

    if job.content is None:
        return Output(job.settings.depth, None, []), np.zeros((*size[::-1], 3), np.float32)
    return Output.of(job, size), pictures.resize(pictures.read(job.content), *size)


def how_of(settings: Settings) -> dict:
    """What `paint` takes of the settings by name."""
    strength = 1.0 if settings.strength is None else settings.strength
    return {"strength": strength, "refine": settings.refine, "device": settings.device}


def painted_by(
    painter, picture: np.ndarray, style, settings: Settings, has_content: bool
) -> tuple[np.ndarray, int]:
    """What a painter makes of it in a style from `styles_for`, (H, W, 3) in 0..255, and in tiles of
    how many pixels."""
    from ..painters.painting import choose_tile, paint

    size, refine = picture.shape[1::-1], settings.refine
    tile = choose_tile(painter, size, settings.device, settings.tile, refine)
    painted = paint(painter, picture, style, settings.seed, tile, **how_of(settings))
    if settings.colors == "content" and has_content:
        painted = pictures.preserve_colors(painted, picture, settings.color_space)
    return painted, tile


def write(job: Job, output: Output, painted, tile: int, about: dict, reporter: Reporter) -> None:
    """Write it, and say so."""
    output.write(job.output, painted, json.dumps(about))
    height, width = painted.shape[:2]
    tiles = f", in tiles of {tile} pixels" if tile else ""
    for line in output.lines(job):
        reporter.say(line)
    reporter.say(f"wrote {job.output}, {width}x{height} pixels{tiles}")
