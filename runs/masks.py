"""The masks of a run, as they are given and from its files, at the sizes that are worked on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from .. import pictures
from ..pictures import Masks
from ..settings import Settings, check_each
from .job import Job


def placed_masks(
    masks: Sequence[np.ndarray] | None,
    style_masks: Sequence[np.ndarray | None] | None,
    settings: Settings,
    shapes: Sequence[tuple[int, int]],
) -> Masks:
    """Masks as they are given, at the sizes of the pictures.

    Args:
        masks, style_masks: as for `transfer_style`; None for none.
        settings: the soft edge of what is painted.
        shapes: width and height of the content and of each style, as they are worked on.

    Raises ValueError, in one sentence, for what is no mask, or not as many as there are styles.
    """

    def placed(values, name, shape):
        return pictures.resize_mask(pictures.as_mask(values, name), *shape)

    content, *styles = shapes
    if styles:
        check_each("masks", masks, len(styles))
        check_each("style_masks", style_masks, len(styles))
    if settings.feather is not None and masks is None:
        raise ValueError("--feather is the edge of --masks, and there are none")
    regions = [
        placed(one, f"mask {i}", content) for i, one in enumerate(() if masks is None else masks, 1)
    ]
    taken = [
        None if one is None else placed(one, f"style mask {i}", shape)
        for i, (one, shape) in enumerate(zip(() if style_masks is None else style_masks, styles), 1)
    ]
    painted = pictures.painted(regions, settings.edge(*content)) if regions else None
    return Masks(regions, taken, painted)


def read_masks(job: Job, shapes: Sequence[tuple[int, int]]) -> Masks:
    """The masks of a run from its files: --masks, --style-masks, and what is transparent in a
    style, which is no part of it.

    Args:
        job: the run.
        shapes: as for `placed_masks`.

    Raises OSError or ValueError for what is no picture, or black all over.
    """
    s = job.settings
    paths = s.style_masks or [None] * len(job.styles)
    taken = [_opaque(*one) for one in zip(job.styles, paths)]
    return placed_masks(
        [pictures.mask(path) for path in s.masks] if s.masks else None,
        taken if any(one is not None for one in taken) else None,
        s,
        shapes,
    )


def lines(job: Job, masks: Masks) -> Iterator[str]:
    """What they are, a line each."""
    for path, mask in zip(job.settings.masks or (), masks.regions):
        yield f"mask: {path}, {100 * mask.mean():.0f}% of the content"
    for path, mask in zip(job.settings.style_masks or (), masks.styles):
        yield f"style mask: {path}, {100 * mask.mean():.0f}% of its style"
    if not job.settings.style_masks:
        for path, mask in zip(job.styles, masks.styles):
            if mask is not None:
                yield f"{path} is transparent in part, which is not painted from"


def _opaque(style: Path, path: str | None) -> np.ndarray | None:
    """A style's mask where the style is opaque; None for neither."""
    mask, alpha = pictures.mask(path) if path else None, pictures.alpha(style)
    if alpha is None:
        return mask
    opaque = alpha / np.float32(255)
    if mask is not None:
        opaque = opaque * pictures.resize_mask(mask, *opaque.shape[::-1])
    if not opaque.any():
        raise ValueError(f"{style} is transparent wherever it could be painted from")
    return opaque
