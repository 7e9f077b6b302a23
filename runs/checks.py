"""What can be known to be wrong before a run begins, each in one sentence."""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Sequence
from pathlib import Path

from .. import painters, pictures
from ..minimise import schedule
from ..settings import DISTRIBUTION, Settings
from .job import Job


def check_arguments(jobs: Sequence[Job]) -> None:
    """Raise ValueError for arguments that cannot be right, whatever the files hold."""
    for job in jobs:
        _check_arguments(job)
    inputs = dict.fromkeys(path for job in jobs for path in job.inputs)
    check_apart(list(inputs), [path for job in jobs for path in job.outputs()])


def _check_arguments(job: Job) -> None:
    s = job.settings
    s.check_pictures(job.content is not None, len(job.styles))
    if s.feather is not None and not s.masks:
        raise ValueError("--feather is the edge of --masks, and there are none")
    if s.colors == "content":
        pictures.check_color_space(s.color_space)
    pictures.check_extension(job.output, s.depth)
    if s.checkpoint_output:
        pictures.check_extension(s.checkpoint_path(1))
    if s.progress_plot and importlib.util.find_spec("matplotlib") is None:
        raise ValueError(f"--progress-plot needs matplotlib: pip install '{DISTRIBUTION}[plot]'")


def check_apart(inputs: list[Path], outputs: list[Path]) -> None:
    """Raise ValueError for an output that is an input, or another output."""
    used = {path.resolve(): f"the input {path}" for path in inputs}
    for path in outputs:
        if (place := path.resolve()) in used:
            raise ValueError(f"{path} would be written over {used[place]}")
        used[place] = "another output of this run"


def check_files(job: Job, shapes: list[tuple[int, int]]) -> None:
    """Raise OSError for outputs that the disk has no place for; `shapes` as from `shapes`."""
    s = job.settings
    *_, (_, _, iterations) = schedule.sizes(*s.sizes(shapes)[0], s)
    check_outputs(job.outputs(iterations), job.state, s.resume, s.overwrite)


def check_normalization(settings: Settings) -> None:
    """Raise OSError for a folder to measure a network on that is none, or has no pictures."""
    if settings.normalization_folder():
        pictures.found(settings.normalization_folder())


def check_painter(job: Job) -> None:
    """Raise OSError or ValueError for a painter to start from that is none, or has no such
    style."""
    settings = job.settings
    if settings.painter:
        config = painters.read_config(settings.painter)
        if config["any_style"]:
            painters.check_styles(settings.painter, config, settings.style, job.styles)
        else:
            painters.shares_asked(painters.styles(config), settings.style, settings)
        painters.check_how(settings.painter, config, refine=settings.refine)
        if not config["of_photographs"]:
            raise ValueError(f"{settings.painter} paints textures, and no photographs")


def check_outputs(outputs: list[Path], state: Path, resume: bool, overwrite: bool) -> None:
    """Raise OSError for files that cannot be written, or that would be lost.

    Args:
        outputs: what a run writes and leaves.
        state: where its state is kept until it ends.
        resume, overwrite: whether it goes on with that state, or may write over what is there.
    """
    if state.exists() and not (resume or overwrite):
        raise OSError(
            f"{state} is the state of an interrupted run: add --resume to go on with it, or "
            "--overwrite to start anew"
        )
    for folder in dict.fromkeys(path.parent for path in outputs):
        check_folder(folder)
    for path in outputs:
        if path.is_dir():
            raise OSError(f"{path} is a folder: name a file in it")
        if path.exists() and not overwrite and not (resume and state.exists()):
            raise OSError(f"{path} exists: name another, or add --overwrite")


def check_format(output: Path, width: int, height: int) -> None:
    """Raise ValueError if the output's format does not allow for its size."""
    most = pictures.FORMATS[pictures.check_extension(output)]
    if max(width, height) > most:
        raise ValueError(
            f"{output} would be {width}x{height} pixels; {output.suffix} holds {most} "
            "at most: use .png or .tif"
        )


def shapes(job: Job) -> list[tuple[int, int] | None]:
    """Width and height of the content, None without one, and of each style, as their files have
    them.

    Raises OSError or ValueError for any input that cannot be read, as far as its header shows it.
    """
    found = [pictures.size(path) for path in job.inputs]
    found = found if job.content else [None, *found]
    return found[: 1 + len(job.styles)]


def sizes(job: Job, shapes: list[tuple[int, int] | None]) -> list[tuple[int, int]]:
    """Width and height of the content and of each style as they are worked on.

    Raises ValueError if the format of the output, or of the checkpoints, does not allow for it.
    """
    found = job.settings.sizes(shapes)
    check_format(job.output, *found[0])
    if job.settings.checkpoint_output:
        check_format(Path(job.settings.checkpoint_path(1)), *found[0])
    return found


def check_folder(folder: Path) -> None:
    """Raise OSError for a folder that is not there, or that nothing can be written in."""
    if not folder.is_dir():
        raise OSError(f"the folder {folder} does not exist: make it first")
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise OSError(f"nothing can be written in {folder}: {error.strerror}") from error
