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
from . import checks
from .console import loading_keras, stop_signals, tell
from .job import Job
from .output import Output

if TYPE_CHECKING:
    from ..painters.architecture import Painter


@dataclass(frozen=True)
class PaintingJob:
    """One run of `neural-style apply`."""

    painter: str
    style: list[str] | None  # names of the painter's styles
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
        checks.check_apart(job.contents, [one.output])
    if job.style:
        job.settings.check_styles(len(job.style))
    if job.settings.colors == "content":
        pictures.check_color_space(job.settings.color_space)
    if job.settings.height is not None and job.contents:
        raise ValueError("--height is that of a texture; a photograph's follows its width")


def run(job: PaintingJob, load: Callable[[str], Painter] = painters.load) -> int:
    """Do it. Returns the exit code; raises OSError or ValueError in one sentence.

    Args:
        job: the pictures, and how.
        load: from a painter's name or file to the painter.
    """
    config, s = painters.read_config(job.painter), job.settings
    shares = painters.shares_asked(painters.styles(config), job.style, s)
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
    with stop_signals() as signals:
        with loading_keras(s.debug):
            from .. import backend
        with backend.device(s.device):
            painter = load(job.painter)
            for number, (one, size) in enumerate(zip(jobs, sizes)):
                if signals:
                    said = f"interrupted; {number} of {len(jobs)} pictures were written"
                    tell(f"{PROGRAM}: {said}", sys.stderr)
                    return 128 + signals[0]
                _paint(job, one, size, painter, shares)
    return 0


def _paint(job: PaintingJob, one: Job, size: tuple[int, int], painter, shares: dict) -> None:
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
    painted = paint(painter, picture, shares, s.seed, tile)
    if s.colors == "content" and job.contents:
        painted = pictures.preserve_colors(painted, picture, s.color_space)

    settings = dataclasses.asdict(s)
    about = {
        PROGRAM: VERSION,
        "backend": backend.version(),
        "content": files.named(one.content) if job.contents else None,
        "painter": files.named(painters.find(job.painter)),
        "shares": {name: round(share, 6) for name, share in shares.items()},
        "settings": {
            name: settings[name] for name in ("width", "height", "colors", "color_space", "seed")
        },
    }
    output.write(one.output, painted, json.dumps(about))
    if not s.quiet:
        tiles = f", in tiles of {tile} pixels" if tile else ""
        for line in output.lines(one):
            tell(line)
        tell(f"wrote {one.output}, {size[0]}x{size[1]} pixels{tiles}")
