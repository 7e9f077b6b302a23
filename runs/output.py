"""The pictures that a run writes: how deep they are, and what is transparent in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .. import pictures
from .job import Job


@dataclass(frozen=True)
class Output:
    """How a run's pictures are written, wherever their format has a place for it."""

    depth: int  # bits of a channel
    alpha: np.ndarray | None  # (H, W) in 0..255, of the output's size
    on_white: list[Path]  # the inputs of which the transparent parts are seen as white

    @classmethod
    def of(cls, job: Job, size: tuple[int, int]) -> Output:
        """For pictures of this width and height. Raises OSError for an input that is damaged."""
        s = job.settings
        alpha = job.content and pictures.alpha(job.content)
        initial = [Path(s.initial)] if s.initial else []
        on_white = [path for path in initial if pictures.alpha(path) is not None]
        if alpha is not None and (s.alpha == "white" or not _holds_alpha(job.output)):
            alpha, on_white = None, [job.content, *on_white]
        if alpha is not None:
            alpha = pictures.resize_alpha(alpha, *size)
        return cls(s.depth, alpha, on_white)

    def lines(self, job: Job) -> Iterator[str]:
        """What is done about transparency, in words; nothing where there is none."""
        if self.alpha is not None:
            yield "the content's transparency is kept; --alpha white puts it on white"
        for path in self.on_white:
            lost = path == job.content and job.settings.alpha == "keep"
            why = f": {job.output.suffix} cannot hold it" if lost else ""
            yield f"{path} is transparent in part, and put on white{why}"

    def write(self, path, image: np.ndarray, comment: str) -> None:
        """As `pictures.write`: a checkpoint's format may hold less than the output's."""
        deep = pictures.check_extension(path) in pictures.WITH_16_BITS
        alpha = self.alpha if _holds_alpha(path) else None
        pictures.write(path, image, comment, alpha, self.depth if deep else 8)


def _holds_alpha(path) -> bool:
    return pictures.check_extension(path) in pictures.WITH_ALPHA
