"""One run of a painter from files to files."""

from __future__ import annotations

import dataclasses
import json
import sys
from dataclasses import dataclass
from pathlib import Path

from .. import files, painters, pictures
from ..settings import PROGRAM, TEXTURE_SIDE, VERSION, Settings
from . import checks
from .console import loading_keras, stop_signals, tell
from .job import Job
from .output import Output

RECORDED = ("width", "height", "colors", "color_space", "strength", "seed")


@dataclass(frozen=True)
class PaintingJob:
    """One run of `neural-style apply`."""

    painter: str
    style: list[str] | None  # names of the painter's styles
    styles: list[Path]  # pictures of styles, for a painter for any style
    contents: list[Path]  # none for textures
    output: str  # with a place for {name} where there are several
    settings: Settings

    def jobs(self) -> list[Job]:
        """What is to be painted, a picture each."""
        jobs = []
        for content in self.contents or [None]:
            name = self.output.replace("{name}", content.stem if content else "texture")
            output = files.local(name)
            jobs.append(Job(content, [], output, self.settings))
        return jobs


def check_arguments(job: PaintingJob) -> None:
    """Raise ValueError for arguments that cannot be right, whatever the files hold."""
    outputs = [one.output.resolve() for one in job.jobs()]
    if len(set(outputs)) < len(outputs):
        raise ValueError(
            f"several pictures would be written to {job.output}: let each have its name, as "
            "'out/{name}.png', and give no two of the same name"
        )
    for one in job.jobs():
        pictures.check_extension(one.output, job.settings.depth)
        checks.check_apart([*job.contents, *job.styles], [one.output])
    if job.style and job.styles:
        raise ValueError("--style names a style of the painter's, and --styles are pictures")
    job.settings.check_styles(len(job.style or job.styles))
    if job.settings.colors == "content":
        pictures.check_color_space(job.settings.color_space)
    if job.settings.height is not None and job.contents:
        raise ValueError("--height is that of a texture; a photograph's follows its width")


def run(job: PaintingJob) -> int:
    """Do it. Returns the exit code; raises OSError or ValueError in one sentence."""
    config, s = painters.read_config(job.painter), job.settings
    painters.check_styles(job.painter, config, job.style, job.styles)
    if config["any_style"]:
        style = None  # to be seen in the pictures
    elif s.strength is not None:
        raise ValueError(f"--strength is of painters for any style, and {job.painter} is none")
    else:
        style = painters.shares_asked(painters.styles(config), job.style, s)
    if config["of_photographs"] and not job.contents:
        raise ValueError(f"{job.painter} paints photographs: name one with --content")
    if job.contents and not config["of_photographs"]:
        raise ValueError(f"{job.painter} paints textures: leave --content out")
    jobs = job.jobs()
    sizes = []
    for one in jobs:
        if job.contents:
            [size] = s.sizes([pictures.size(one.content)])
        else:
            [size] = dataclasses.replace(s, width=s.width or TEXTURE_SIDE).sizes([None])
        checks.check_format(one.output, *size)
        sizes.append(size)
    # Nothing is left of a picture that is not whole: there is no state to go on with.
    for one in jobs:
        checks.check_outputs([one.output], one.state, s.overwrite, s.overwrite)
    styles = [pictures.read(path) for path in job.styles]
    with stop_signals() as signals:
        with loading_keras(s.debug):
            from .. import backend
        with backend.device(s.device):
            from ..painters.painting import embed_styles

            painter = painters.load(job.painter)
            if styles:
                style = embed_styles(painter, styles, s.style_shares(len(styles)))
            for number, (one, size) in enumerate(zip(jobs, sizes)):
                if signals:
                    said = f"interrupted; {number} of {len(jobs)} pictures were written"
                    tell(f"{PROGRAM}: {said}", sys.stderr)
                    return 128 + signals[0]
                _paint(job, one, size, painter, style)
    return 0


def _paint(job: PaintingJob, one: Job, size: tuple[int, int], painter, style) -> None:
    import numpy as np

    from .. import backend
    from ..painters.painting import choose_tile, paint

    s = job.settings
    if job.contents:
        output = Output.of(one, size)
        picture = pictures.resize(pictures.read(one.content), *size)
    else:
        output, picture = Output(s.depth, None, []), np.zeros((*size[::-1], 3), np.float32)
    tile = choose_tile(painter, size, s.device, s.tile)
    strength = 1.0 if s.strength is None else s.strength
    painted = paint(painter, picture, style, s.seed, tile, strength=strength)
    if s.colors == "content" and job.contents:
        painted = pictures.preserve_colors(painted, picture, s.color_space)

    settings = dataclasses.asdict(s)
    about = {
        PROGRAM: VERSION,
        "backend": backend.version(),
        "content": files.named(one.content) if job.contents else None,
        "painter": files.named(painters.find(job.painter)),
        "settings": {name: settings[name] for name in RECORDED},
    }
    if job.styles:
        shares = s.style_shares(len(job.styles))
        about["styles"] = [files.named(path) for path in job.styles]
        about["shares"] = [round(share, 6) for share in shares]
    else:
        about["shares"] = {name: round(share, 6) for name, share in style.items()}
    output.write(one.output, painted, json.dumps(about))
    if not s.quiet:
        tiles = f", in tiles of {tile} pixels" if tile else ""
        for line in output.lines(one):
            tell(line)
        tell(f"wrote {one.output}, {size[0]}x{size[1]} pixels{tiles}")
