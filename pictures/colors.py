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


def match_colors(
    image: np.ndarray,
    wanted: np.ndarray,
    mask: np.ndarray | None = None,
    wanted_mask: np.ndarray | None = None,
) -> np.ndarray:
    """An image with the mean and the covariance of another's colours, both (H, W, 3) in 0..255.

    Those of a part of either where it has a mask, (H, W) in 0..1; the whole image is recoloured.

    x -> Σ'^½ Σ^-½ (x - μ) + μ', with the symmetric roots, which do not depend on the order of the
    channels as Cholesky's do (L. Gatys et al., "Preserving Color in Neural Artistic Style
    Transfer", arXiv 1606.05897, section 4, equations 3 and 4). A direction in which the image has
    no variance gets none. What leaves the gamut is clipped.
    """
    mean, _, inverse = _roots(image, mask)
    other_mean, other_root, _ = _roots(wanted, wanted_mask)
    # Row vectors: the matrices are symmetric, and come in the other order.
    recoloured = (image.reshape(-1, 3) - mean) @ (inverse @ other_root) + other_mean
    return np.clip(recoloured, 0, 255).astype(np.float32).reshape(image.shape)


def _roots(image: np.ndarray, mask: np.ndarray | None):
    """The mean of a picture's colours, the root of their covariance, and its pseudo-inverse."""
    pixels = image.reshape(-1, 3).astype(np.float64)
    weights = None if mask is None else mask.ravel()
    values, vectors = np.linalg.eigh(np.cov(pixels, rowvar=False, bias=True, aweights=weights))
    lengths = np.sqrt(np.maximum(values, 0))
    # An eighth of a grey level is no variance, but what rounding leaves of it.
    inverses = np.where(lengths > 0.125, 1 / np.maximum(lengths, 0.125), 0)
    mean = np.average(pixels, 0, weights)
    return mean, (vectors * lengths) @ vectors.T, (vectors * inverses) @ vectors.T
