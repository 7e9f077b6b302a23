"""What a painter for any style makes of a painting: from how it looks, how to paint like it.

G. Ghiasi et al., "Exploring the structure of a real-time, arbitrary neural artistic stylization
network", arXiv 1705.06830. There, a network predicts every scale and shift of the painter. Here it
predicts an embedding of which they are linear functions, as `StyleNormalization` has them of the
shares of named styles: what is between two paintings is between their embeddings.
"""

from __future__ import annotations

import functools

import keras
import numpy as np
from keras import ops

from .. import backend, networks, vgg
from ..settings import STYLE_LAYERS
from . import COLOURS, LEARNT

MIDDLE, REACH = 127.5, 150.0  # of the colours
# Of a painting: mean and spread of each colour, and of each channel of these layers of the compact
# network, which has 16, 32, 64, 128 and 128 there.
NUMBERS = COLOURS + 2 * 368
HIDDEN = 192  # units
FLAT = 0.1  # added to the spread of a feature, lest the logarithm of a flat one be anything
USUAL = 4.0  # standard deviations: beyond about as many, statistics are as good as there


class Eyes:
    """The compact network's view of paintings: mean and spread of each feature of each layer."""

    def __init__(self, precision: str = "float32", cache: bool = True):
        parameters = vgg.load(networks.COMPACT, cache)
        self.sha256, self._mean_pixel = parameters.sha256, parameters.mean_pixel
        self.network = vgg.build(parameters, STYLE_LAYERS, precision=precision)

    def check(self, about: dict) -> None:
        """Raise ValueError for a painter that was trained to see by another network."""
        if about.get("eyes") not in (None, self.sha256):
            raise ValueError(
                "the painter was trained to see by another compact network than this one"
            )

    def __call__(self, pictures):
        """(n, H, W, 3) RGB in 0..255 -> (n, `NUMBERS`) float32, the colours' first."""
        pictures = ops.convert_to_tensor(pictures, "float32")
        within = ops.clip((pictures - MIDDLE) / REACH, -MIDDLE / REACH, MIDDLE / REACH)
        found = list(_moments(ops.arctanh(within)))
        features = self.network(pictures - ops.convert_to_tensor(self._mean_pixel))
        for layer in STYLE_LAYERS:
            mean, spread = _moments(features[layer])
            found += [mean, ops.log(spread + FLAT)]
        return ops.concatenate(found, axis=1)

    @functools.cached_property
    def seen(self):
        """`self` as a compiled function."""
        return backend.compiled(self, self.network)


def _moments(features):
    """Mean and standard deviation of each channel, (n, C) float32 each."""
    features = ops.cast(features, "float32")
    mean = ops.mean(features, axis=(1, 2))
    squares = ops.mean(ops.square(features - mean[:, None, None]), axis=(1, 2))
    return mean, ops.sqrt(squares + 1e-8)


class StylePredictor(keras.layers.Layer):
    """From the statistics of paintings to their embeddings.

    The colours are among the numbers as they are, lest it had to be learnt that a picture has those
    of its style.
    """

    def __init__(self):
        super().__init__()
        self.layers = [
            keras.layers.Dense(HIDDEN, activation="relu"),
            keras.layers.Dense(HIDDEN, activation="relu"),
            keras.layers.Dense(LEARNT),
        ]

    def build(self):
        own = dict(shape=(NUMBERS,), trainable=False)
        self.usual = self.add_weight(initializer="zeros", name="usual", **own)
        self.spread = self.add_weight(initializer="ones", name="spread", **own)
        given = NUMBERS
        for layer in self.layers:
            layer.build((None, given))
            given = layer.units
        self.built = True

    def adapt(self, statistics: np.ndarray) -> None:
        """Learn what is usual: the mean and the spread of (n, `NUMBERS`) of paintings."""
        self.usual.assign(statistics.mean(0))
        self.spread.assign(np.maximum(statistics.std(0), 1e-3))

    def call(self, statistics):
        """(n, `NUMBERS`) -> (n, `EMBEDDING`)."""
        x = (statistics - self.usual) / self.spread
        x = USUAL * ops.tanh(x / USUAL)
        for layer in self.layers:
            x = layer(x)
        one = ops.ones_like(statistics[:, :1])
        return ops.concatenate([one, statistics[:, :COLOURS], x / LEARNT**0.5], axis=1)
