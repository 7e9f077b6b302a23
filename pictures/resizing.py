"""The size of a picture: (H, W, 3) float32 RGB in 0..255."""

from __future__ import annotations

import numpy as np
from PIL import Image


def resize(image: np.ndarray, width: int, height: int) -> np.ndarray:
    """Resize with Pillow's default filter (bicubic), by way of 8 bits: (height, width, 3)."""
    if image.shape[:2] == (height, width):
        return image
    resized = Image.fromarray(eight_bits(image)).resize((width, height))
    return np.asarray(resized, np.float32)


def middle_square(picture: np.ndarray, side: int) -> np.ndarray:
    """The largest square in the middle of a picture, (side, side, 3)."""
    height, width = picture.shape[:2]
    short = min(height, width)
    y, x = (height - short) // 2, (width - short) // 2
    return resize(picture[y : y + short, x : x + short], side, side)


def resize_alpha(alpha: np.ndarray, width: int, height: int) -> np.ndarray:
    """Likewise for how opaque a picture is, (H, W) in 0..255, with its fraction."""
    resized = Image.fromarray(np.asarray(alpha, np.float32)).resize((width, height))
    return np.clip(np.asarray(resized), 0, 255)


def eight_bits(image: np.ndarray) -> np.ndarray:
    """Clipped to 0..255 and rounded: uint8, of the same shape."""
    pixels = np.clip(np.asarray(image, np.float32), 0, 255)
    return np.rint(pixels, out=pixels).astype(np.uint8)  # in place: a picture may be large


def check_finite(image: np.ndarray, name: str) -> None:
    """Raise ValueError for a picture with NaN or infinity in it."""
    # A sum needs no second array: a picture may be large.
    if not np.isfinite(np.sum(image, dtype=np.float64)):
        raise ValueError(f"{name} holds NaN or infinity where a picture has numbers in 0..255")
