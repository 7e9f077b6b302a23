"""Where a picture is painted, and with what: masks are (H, W) float32 in 0..1."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from .resizing import check_finite

OVERSHOOT = 1.1  # how far over 1 resizing and blurring may leave a mask that is in 0..1
WHOLE = 1e-3  # what rounding leaves between 1 and the sum of masks that complete each other
ROWS = 2048  # at once, of the distances to an edge: they take four times the memory of a mask


@dataclass(frozen=True)
class Masks:
    """The regions of a run: where each style goes, and what of each style is taken."""

    regions: Sequence[np.ndarray] = ()  # of the content, one for each style; none: all of it
    styles: Sequence[np.ndarray | None] = ()  # of each style; None for all of it
    painted: np.ndarray | None = None  # how much of each pixel is painted; None for all of it


def as_mask(values, name: str) -> np.ndarray:
    """What a caller has given as a mask, as (H, W) float32 in 0..1.

    Args:
        values: (H, W), or a picture (H, W, 3), whose channels are averaged; of any dtype. In 0..1,
            or else in 0..255; a little over 1, as resizing leaves it, is 1.
        name: what it is called if it is refused.

    Raises ValueError for another shape, values out of the range, or one that is black all over.
    """
    mask = np.asarray(values, np.float32)
    if mask.ndim == 3 and mask.shape[2] == 3:
        mask = mask.mean(2)
    if mask.ndim != 2 or not mask.size:
        raise ValueError(f"{name} is of shape {np.shape(values)}: a mask is (H, W), or (H, W, 3)")
    check_finite(mask, name)
    low, high = mask.min(), mask.max()
    if low < 0 or high > 255:
        raise ValueError(f"{name} holds {low:g} to {high:g}: a mask is in 0..1, or in 0..255")
    if high == 0:
        raise ValueError(f"{name} is black all over: a mask is white where its style goes")
    if high <= OVERSHOOT:
        return np.minimum(mask, 1)
    if high < 2:
        raise ValueError(f"{name} holds up to {high:g}: a mask is in 0..1, or in 0..255")
    return mask / np.float32(255)


def resize_mask(mask: np.ndarray, width: int, height: int) -> np.ndarray:
    """(H, W) float32 -> (height, width), linearly, which leaves its range; where it shrinks, each
    value is an average."""
    if mask.shape == (height, width):
        return mask
    return np.asarray(Image.fromarray(mask).resize((width, height), Image.Resampling.BILINEAR))


def painted(regions: Sequence[np.ndarray], feather: float) -> np.ndarray | None:
    """How much of each pixel is painted: the sum of the regions, at most 1, fading out within
    `feather` pixels of where there is none. None where all is painted.

    Args:
        regions: (H, W) each, of one size.
        feather: the width of the edge in pixels, inside the regions; 0 leaves them as they are.
    """
    covered = np.minimum(sum(regions), 1)
    covered[covered > 1 - WHOLE] = 1
    if covered.min() == 1:
        return None
    outside = covered == 0
    if feather and outside.any():
        halo = math.ceil(feather) + 1
        for top in range(0, len(covered), ROWS):
            first, end = max(0, top - halo), top + ROWS
            edge = _edge(outside[first : end + halo], feather)[top - first :][:ROWS]
            covered[top:end] = np.minimum(covered[top:end], edge)
    return covered


def _edge(outside: np.ndarray, feather: float) -> np.ndarray:
    """From 0 where `outside` is true to 1 at a distance of `feather`, as a smooth step."""
    if not outside.any():
        return np.ones(outside.shape, np.float32)
    from scipy import ndimage  # a fifth of a second, for runs with masks alone

    # The border runs between a pixel and the next.
    t = np.clip((ndimage.distance_transform_edt(~outside) - 0.5) / feather, 0, 1)
    return (t * t * (3 - 2 * t)).astype(np.float32)


def joined(
    images: Sequence[np.ndarray], regions: Sequence[np.ndarray], photograph: np.ndarray
) -> np.ndarray:
    """Images each where its region is, their mean by the regions where several are, and the
    photograph where none is.

    Args:
        images: (H, W, 3) float32 each.
        regions: (H, W) in 0..1, one for each image.
        photograph: (H, W, 3).
    """
    covered = np.maximum(sum(regions), 1)
    found = photograph * (1 - np.minimum(sum(regions), 1))[..., np.newaxis]
    for image, region in zip(images, regions):
        found += (region / covered)[..., np.newaxis] * image
    return found


def filled(picture: np.ndarray, taken: np.ndarray | None) -> np.ndarray:
    """A picture (H, W, 3) with the mean colour of what is taken of it in place of what is not, by
    (H, W) in 0..1; None for all of it."""
    if taken is None:
        return picture
    taken = taken[..., np.newaxis]
    mean = (picture * taken).sum((0, 1)) / taken.sum()
    return picture * taken + mean.astype(np.float32) * (1 - taken)


def composed(image: np.ndarray, photograph: np.ndarray, painted: np.ndarray) -> np.ndarray:
    """An image where it is painted and the photograph elsewhere, whose pixels stay the very same.

    Args:
        image, photograph: (H, W, 3) float32.
        painted: (H, W) in 0..1, how much of each pixel is the image's.
    """
    return photograph + painted[..., np.newaxis] * (image - photograph)
