"""One run of a painter from files to files."""

from __future__ import annotations

import dataclasses
import json
import sys
from dataclasses import dataclass
from pathlib import Path

from .. import files, painters, pictures
from ..settings import PROGRAM, TEXTURE_SIDE, VERSION, Settings
from . import checks, many
from .console import loading_keras, stop_signals, tell
from .job import Job
from .output import Output
from .progress import Reporter


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


def run(job: PaintingJob) -> int:
    """Do it. Returns the exit code; raises OSError or ValueError in one sentence."""
    config, s = painters.read_config(job.painter), job.settings
    names = painters.styles(config)
    if config["of_photographs"] and not job.contents:
        raise ValueError(f"{job.painter} paints photographs: name one with --content")
    if job.contents and not config["of_photographs"]:
        raise ValueError(f"{job.painter} paints textures: leave --content out")
    styles = job.style or (names if job.each_style else names[:1])
    if job.each_style:
        for name in styles:
            painters.shares_asked(names, [name], s)
    else:
        painters.shares_asked(names, job.style, s)
    jobs = job.jobs(styles)
    is_many = jobs[0].is_one_of_many
    sizes = {} if is_many else {jobs[0].output: _checked(jobs[0])}
    reporter = Reporter(s.quiet, is_many)
    with stop_signals() as signals:
        with loading_keras(s.debug):
            from .. import backend
        from .description import is_complete

        with backend.device(s.device):
            painter = painters.load(job.painter)
            painted = files.named(painters.find(job.painter))

            def paint(one):
                shares = painters.shares_asked(names, one.styles, s)
                about = _about(one, shares, painted)
                if is_many and is_complete(pictures.comment(one.output), about):
                    return None
                size = sizes.get(one.output) or _checked(one)
                _paint(one, size, painter, shares, about, reporter)
                return 0

            if is_many:
                return many.each(jobs, paint, signals, reporter, s.debug)
            if signals:
                tell(f"{PROGRAM}: interrupted; nothing was written", sys.stderr)
                return 128 + signals[0]
            return paint(*jobs)


def _checked(job: Job) -> tuple[int, int]:
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


def _about(job: Job, shares: dict, painter: dict) -> dict:
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


def _paint(job: Job, size: tuple[int, int], painter, shares, about, reporter: Reporter) -> None:
    import numpy as np

    from ..painters.painting import choose_tile, paint

    s = job.settings
    if job.content:
        output = Output.of(job, size)
        picture = pictures.resize(pictures.read(job.content), *size)
    else:
        output, picture = Output(s.depth, None, []), np.zeros((*size[::-1], 3), np.float32)
    tile = choose_tile(painter, size, s.device, s.tile)
    painted = paint(painter, picture, shares, s.seed, tile)
    if s.colors == "content" and job.content:
        painted = pictures.preserve_colors(painted, picture, s.color_space)
    output.write(job.output, painted, json.dumps(about))
    tiles = f", in tiles of {tile} pixels" if tile else ""
    for line in output.lines(job):
        reporter.say(line)
    reporter.say(f"wrote {job.output}, {size[0]}x{size[1]} pixels{tiles}")
