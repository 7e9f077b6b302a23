"""The colours of a picture: (H, W, 3) float32 RGB in 0..255."""

from __future__ import annotations

import importlib.util
import warnings

import numpy as np

from ..settings import DISTRIBUTION

LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # Rec. 601
ROWS = 256  # of a large picture at once: the conversions hold several copies


def preserve_colors(image: np.ndarray, content: np.ndarray, space: str = "ycbcr") -> np.ndarray:
    """The luma of `image` with the chroma of `content`, both (H, W, 3) in 0..255.

    In `ycbcr` (Rec. 601) every channel is the luma plus a function of the chroma alone, so that a
    new luma is a shift common to the three. In `luv` and `lab` it is CIE's lightness L* that is
    taken from `image`, under D65, and a* and b*, or u* and v*, from `content`; what becomes darker
    in `luv` keeps its chromaticity u', v' instead. What leaves the gamut is clipped.

    Raises ValueError as `check_color_space` does.
    """
    if space == "ycbcr":
        shift = (image - content) @ LUMA
        return np.clip(content + shift[..., np.newaxis], 0, 255).astype(np.float32)
    check_color_space(space)
    recoloured = np.empty(content.shape, np.float32)
    for top in range(0, len(content), ROWS):
        rows = slice(top, top + ROWS)
        recoloured[rows] = _with_lightness(content[rows], image[rows], space)
    return recoloured


def _with_lightness(content: np.ndarray, image: np.ndarray, space: str) -> np.ndarray:
    from skimage import color

    there, back = getattr(color, f"rgb2{space}"), getattr(color, f"{space}2rgb")
    whole = there(np.asarray(content, np.float32) / 255)
    lightness = there(np.asarray(image, np.float32) / 255)[..., :1]
    if space == "luv":
        # Darker, it is the same light but dimmer: its u* and v* would be of no light at all.
        dimmer = lightness / np.maximum(whole[..., :1], 1e-3)
        whole[..., 1:] *= np.minimum(dimmer, 1)
    whole[..., :1] = lightness
    with warnings.catch_warnings():  # it tells of colours outside of the gamut, which it clips
        warnings.simplefilter("ignore")
        return np.clip(255 * back(whole), 0, 255)


def check_color_space(space: str) -> None:
    """Raise ValueError for a colour space whose conversions are not installed."""
    if space != "ycbcr" and importlib.util.find_spec("skimage") is None:
        raise ValueError(
            f"--color-space {space} needs scikit-image: pip install '{DISTRIBUTION}[color]'"
        )


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
