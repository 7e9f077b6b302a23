"""A picture, and what Adam knows of its gradient, at the next size."""

from __future__ import annotations

import math

import numpy as np
from keras import ops

SHARPEN = 0.7  # how much of the fine detail is added again where a picture is enlarged


def enlarged(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The picture of one size as the start of the next, sharpened: enlarging blurs, and what is
    fine has to be painted anew. (1, h, w, 3) -> (1, *size, 3)."""
    if image.shape[1:3] == tuple(size):
        return image
    import scipy.ndimage  # a fifth of a second, for runs from coarse to fine alone

    spread = 0.6 * size[0] / image.shape[1]
    image = rescaled(image, size)
    blurred = scipy.ndimage.gaussian_filter(image, (0, spread, spread, 0))
    return image + SHARPEN * (image - blurred)


def rescaled(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(1, h, w, 3) enlarged or reduced to another height and width, bicubically."""
    if image.shape[1:3] == tuple(size):
        return image
    return ops.convert_to_numpy(ops.image.resize(image, size, interpolation="bicubic"))


def rescaled_moment(value: np.ndarray, size: tuple[int, int], order: int) -> np.ndarray:
    """A moment of the gradient at another size. Where the losses are means over positions, the
    gradient of a pixel falls as their number grows (where they are sums, as some recipes have them,
    Adam finds its scale again); bilinearly, so that none turns negative."""
    if value.shape[1:3] == tuple(size):
        return value
    falls = math.prod(value.shape[1:3]) / math.prod(size)
    value = ops.convert_to_numpy(ops.image.resize(value, size, interpolation="bilinear"))
    return value * np.float32(falls**order)
