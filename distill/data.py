"""The pictures that the small network learns from: what an optimiser will show it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from neural_style_keras import pictures
from neural_style_keras.painters.photographs import square


def crops(paths: Sequence[Path], count: int, side: int, random) -> np.ndarray:
    """`count` squares out of pictures chosen at random, at random scales, mirrored or not.

    Returns:
        (count, side, side, 3) float32 RGB in 0..255.
    """
    drawn = (paths[random.integers(len(paths))] for _ in range(count))
    return np.stack([square(pictures.read(path), side, random) for path in drawn])


def disturbed(pictures: np.ndarray, random) -> np.ndarray:
    """Each picture with other colours, with noise, or nearly lost in it, as optimisers start.

    Args and returns: (n, H, W, 3) float32 RGB in 0..255.
    """
    n, channels = len(pictures), pictures.shape[3]
    shape = (n, 1, 1, 1)
    mean = pictures.mean((0, 1, 2))
    mixing = np.eye(channels) + random.normal(scale=0.15, size=(n, channels, channels))
    contrast = random.uniform(0.3, 1.3, shape)
    shifted = random.normal(scale=25, size=(n, 1, 1, channels))
    out = mean + contrast * np.einsum("nhwc,ncd->nhwd", pictures - mean, mixing) + shifted
    strength = random.choice([0, 1], shape) * 10 ** random.uniform(-0.6, 1.8, shape)
    out += strength * random.normal(size=pictures.shape)
    blank = random.random(shape) < 0.1
    out = np.where(blank, mean + (out - mean) * random.uniform(0, 0.2, shape), out)
    return np.clip(out, 0, 255).astype(np.float32)
