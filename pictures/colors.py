"""The colours of a picture: (H, W, 3) float32 RGB in 0..255."""

from __future__ import annotations

import numpy as np

LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # Rec. 601


def preserve_colors(image: np.ndarray, content: np.ndarray) -> np.ndarray:
    """The luma (Rec. 601) of `image` with the chroma of `content`, both (H, W, 3) in 0..255.

    In YCbCr every channel is the luma plus a function of the chroma alone, so that a new luma
    is a shift common to the three. What leaves the gamut is clipped.
    """
    shift = (image - content) @ LUMA
    return np.clip(content + shift[..., np.newaxis], 0, 255).astype(np.float32)
