"""One run of a painter from files to files."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable
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


@dataclass(frozen=True)
class PaintingJob:
    """One run of `neural-style apply`."""

    painter: str
    style: list[str] | None  # names of the painter's styles
    contents: list[Path]  # none for textures
    output: str  # with a place for {name} where there are several
    settings: Settings
    each_style: bool = False  # by itself, of the styles or, if None are named, of all

    def jobs(self, styles: list[str]) -> list[Job]:
        """What is to be painted in these styles, a picture each; its styles are names."""
        asked = many.outputs(self.contents or [None], styles, self.output, self.each_style)
        is_many = many.is_pattern(self.output)
        return [Job(content, group, path, self.settings, is_many) for content, group, path in asked]


def check_arguments(job: PaintingJob) -> None:
    """Raise ValueError for arguments that cannot be right, whatever the files hold."""
    s = job.settings
    for one in job.jobs(job.style or ["all"]):
        pictures.check_extension(one.output, s.depth)
        checks.check_apart(job.contents, [one.output])
    if job.style:
        s.check_styles(1 if job.each_style else len(job.style))
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
    names, jobs = asked(job)
    s, is_many = job.settings, jobs[0].is_one_of_many
    sizes = {} if is_many else {jobs[0].output: checked(jobs[0])}
    reporter = Reporter(s.quiet, is_many)
    with stop_signals() as signals:
        with loading_keras(s.debug):
            from .. import backend
        with backend.device(s.device):
            painter = load(job.painter)
            file = files.named(painters.find(job.painter))

            def paint(one):
                shares = painters.shares_asked(names, one.styles, s)
                about = describe(one, shares, file)
                if is_there(one, about):
                    return None
                size = sizes.get(one.output) or checked(one)
                output, picture = read(one, size)
                painted, tile = painted_by(painter, picture, shares, s, bool(one.content))
                write(one, output, painted, tile, about, reporter)
                return 0

            if is_many:
                return many.each(jobs, paint, signals, reporter, s.debug)
            if signals:
                tell(f"{PROGRAM}: interrupted; nothing was written", sys.stderr)
                return 128 + signals[0]
            return paint(*jobs)


def asked(job: PaintingJob) -> tuple[list[str], list[Job]]:
    """The names of the painter's styles, and what is to be painted.

    Raises OSError or ValueError for a painter that is none, or cannot paint that.
    """
    config, s = painters.read_config(job.painter), job.settings
    names = painters.styles(config)
    if config["of_photographs"] and not job.contents:
        raise ValueError(f"{job.painter} paints photographs: name one with --content")
    if job.contents and not config["of_photographs"]:
        raise ValueError(f"{job.painter} paints textures: leave --content out")
    styles = job.style or (names if job.each_style else names[:1])
    for style in styles if job.each_style else [job.style]:
        painters.shares_asked(names, [style] if job.each_style else style, s)
    return names, job.jobs(styles)


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


def describe(job: Job, shares: dict, painter: dict) -> dict:
    """What the picture is made from and how."""
    from .. import backend

    settings = dataclasses.asdict(job.settings)
    names = ("width", "height", "colors", "color_space", "seed")
    return {
        PROGRAM: VERSION,
        "backend": backend.version(),
        "content": files.named(job.content) if job.content else None,
        "painter": painter,
        "shares": {name: round(share, 6) for name, share in shares.items()},
        "settings": {name: settings[name] for name in names},
    }


def read(job: Job, size: tuple[int, int]) -> tuple[Output, np.ndarray]:
    """How it is written, and the content at the size of the output; of a texture, black."""
    import numpy as np

    if job.content is None:
        return Output(job.settings.depth, None, []), np.zeros((*size[::-1], 3), np.float32)
    return Output.of(job, size), pictures.resize(pictures.read(job.content), *size)


def painted_by(
    painter, picture: np.ndarray, shares: dict, settings: Settings, has_content: bool
) -> tuple[np.ndarray, int]:
    """What a painter makes of it, (H, W, 3) in 0..255, and in tiles of how many pixels."""
    from ..painters.painting import choose_tile, paint

    tile = choose_tile(painter, picture.shape[1::-1], settings.device, settings.tile)
    painted = paint(painter, picture, shares, settings.seed, tile)
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
