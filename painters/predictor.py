"""What a painter for any style makes of a painting: from how it looks, how to paint like it.

X. Huang, S. Belongie, "Arbitrary Style Transfer in Real-time with Adaptive Instance Normalization",
arXiv 1703.06868: the features of a photograph are given the mean and the spread that each has in a
painting, and a decoder makes a picture of them. G. Ghiasi et al., "Exploring the structure of a
real-time, arbitrary neural artistic stylization network", arXiv 1705.06830: every scale and shift
of a painter is predicted. Here both are done, and what is predicted is an embedding, of which the
decoder's scales and shifts are linear functions, as `StyleNormalization` has them of the shares of
named styles: what is between two paintings is between their embeddings.
"""

from __future__ import annotations

import functools
import math

import keras
import numpy as np
from keras import ops, tree

from .. import backend, networks, vgg
from ..losses import gram_matrix
from ..pictures import resize
from ..settings import STYLE_LAYERS
from . import ADAPTED, COLOURS, LEARNT

MIDDLE, REACH = 127.5, 150.0  # of the colours
# Of a painting: mean and spread of each colour, and of each feature of the compact network's.
CHANNELS = dict(zip(STYLE_LAYERS, (16, 32, 64, 128, 128)))
NUMBERS = COLOURS + 2 * sum(CHANNELS.values())
GRAMS = sum(channels * (channels + 1) // 2 for channels in CHANNELS.values())
HIDDEN = 192  # units
FLAT = 0.1  # added to the spread of a feature, lest the logarithm of a flat one be anything
# Added to the variances of a photograph's features, of their mean: lest what hardly varies become
# as large as what does.
EVEN = 3e-3
SEEN, LEAST = 768**2, 16  # pixels of a painting, and of its shorter side
USUAL = 4.0  # standard deviations: beyond about as many, statistics are as good as there


class Eyes:
    """The compact network's view of paintings: mean and spread of each feature of each layer; and
    of photographs: their features, with the photograph mirrored at its edges, where paintings are
    seen on the network's mean colour."""

    def __init__(self, precision: str = "float32"):
        parameters = vgg.load(networks.COMPACT)
        self.sha256, self._mean_pixel = parameters.sha256, parameters.mean_pixel
        self.network = vgg.build(parameters, STYLE_LAYERS, precision=precision)
        self._first = vgg.build(parameters, list(ADAPTED), precision=precision, padding="reflect")
        # How far beyond a tile it looks, in pixels, and the size of its largest position.
        self.reach, self.stride = parameters.reach(list(ADAPTED)), parameters.stride(list(ADAPTED))

    def check(self, about: dict) -> None:
        """Raise ValueError for a painter that was trained to see by another network."""
        if about.get("eyes") not in (None, self.sha256):
            raise ValueError(
                "the painter was trained to see by another compact network than this one"
            )

    def __call__(self, pictures):
        """(n, H, W, 3) RGB in 0..255 -> (n, `NUMBERS`) float32, the colours' first."""
        pictures = ops.convert_to_tensor(pictures, "float32")
        return self._statistics(pictures, self._features(pictures))

    def _features(self, pictures):
        return self.network(pictures - ops.convert_to_tensor(self._mean_pixel))

    def _statistics(self, pictures, features):
        within = ops.clip((pictures - MIDDLE) / REACH, -MIDDLE / REACH, MIDDLE / REACH)
        found = list(_moments(ops.arctanh(within)))
        for layer in STYLE_LAYERS:
            mean, spread = _moments(features[layer])
            found += [mean, ops.log(spread + FLAT)]
        return ops.concatenate(found, axis=1)

    def features(self, pictures):
        """(n, H, W, 3) RGB in 0..255 -> for each of `ADAPTED`, (n, h, w, C) float32."""
        mean, pictures = map(ops.convert_to_tensor, (self._mean_pixel, pictures))
        found = self._first(pictures - mean)
        return {layer: ops.cast(found[layer], "float32") for layer in ADAPTED}

    @functools.cached_property
    def features_of(self):
        """`features` as a compiled function."""
        return backend.compiled(self.features, self._first)

    def look(self, picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of a painting (H, W, 3) RGB in 0..255 of any size, its statistics, (1, `NUMBERS`), and
        the upper triangles of the Gram matrices of `STYLE_LAYERS`, (1, `GRAMS`), float32 both:
        what has more than `SEEN` pixels is seen smaller."""
        height, width = picture.shape[:2]
        factor = min(1.0, (SEEN / (height * width)) ** 0.5)
        factor = max(factor, LEAST / min(height, width))
        if factor != 1:
            sides = (round(factor * n) for n in (width, height))
            # Of a thin one, the longer side would have no end.
            picture = resize(picture, *(min(max(n, LEAST), SEEN // LEAST) for n in sides))
        picture = ops.convert_to_tensor(np.asarray(picture, np.float32)[np.newaxis])
        return tree.map_structure(ops.convert_to_numpy, self.seen(picture))

    @functools.cached_property
    def seen(self):
        """From paintings to their statistics and Gram matrices, as a compiled function: in
        TensorFlow, single operations would keep a gigabyte."""

        def of_paintings(pictures):
            pictures = ops.convert_to_tensor(pictures, "float32")
            features = self._features(pictures)
            grams = [
                ops.take(ops.reshape(gram_matrix(features[layer]), (-1, n * n)), _upper(n), axis=1)
                for layer, n in CHANNELS.items()
            ]
            return self._statistics(pictures, features), ops.concatenate(grams, axis=1)

        return backend.compiled(of_paintings, self.network)


def eyes(precision: str = "float32") -> Eyes:
    """`Eyes`, made once for each precision."""
    return _eyes(precision)


_eyes = functools.cache(Eyes)


def _upper(n: int) -> np.ndarray:
    """Where the upper triangle of an (n, n) matrix is among its numbers."""
    return np.flatnonzero(np.triu(np.ones((n, n))))


def gram_matrices(triangles: np.ndarray) -> dict[str, np.ndarray]:
    """From (`GRAMS`,), as `Eyes.look` gives them, the Gram matrix of each layer, (1, C, C)."""
    at, found = 0, {}
    for layer, n in CHANNELS.items():
        size = n * (n + 1) // 2
        upper = np.zeros((n, n), np.float32)
        upper.flat[_upper(n)] = triangles[at : at + size]
        found[layer] = (upper + np.triu(upper, 1).T)[np.newaxis]
        at += size
    return found


def adaptation(mean, variance, wanted_mean, wanted_spread):
    """What features times a gain plus an offset have the mean and, but for those that hardly vary
    in the photograph, the spread of a painting's, arXiv 1703.06868, equation 8; here over the mean
    of the spreads, so that what the decoder is given is as large in all layers and styles.

    Args:
        mean, variance: of the photograph's features, (n, 1, 1, C) each.
        wanted_mean, wanted_spread: of the painting's, (n, C) each.

    Returns:
        The gain and the offset, (n, 1, 1, C) each.
    """
    given = (mean, variance, wanted_mean[:, None, None], wanted_spread[:, None, None])
    mean, variance, wanted_mean, wanted_spread = map(ops.convert_to_tensor, given)
    unit = ops.mean(wanted_spread, axis=3, keepdims=True) + FLAT
    gain = wanted_spread / unit
    gain = gain * ops.rsqrt(variance + EVEN * ops.mean(variance, axis=3, keepdims=True) + 1e-3)
    return gain, wanted_mean / unit - gain * mean


def of_adapted(statistics):
    """Of the statistics of paintings, (n, `NUMBERS`), the means and the spreads of the features of
    `ADAPTED`, (n, `STATISTICS`)."""
    found, at = [], COLOURS
    for layer, channels in CHANNELS.items():
        means, spreads = at + channels, at + 2 * channels
        if layer in ADAPTED:
            found += [statistics[:, at:means], ops.exp(statistics[:, means:spreads]) - FLAT]
        at = spreads
    return ops.concatenate(found, axis=1)


def by_layer(statistics):
    """For each of `ADAPTED` the means and the spreads, (n, C) each, of what `of_adapted` gives."""
    at, wanted = 0, {}
    for layer, channels in ADAPTED.items():
        means, spreads = at + channels, at + 2 * channels
        wanted[layer] = statistics[:, at:means], statistics[:, means:spreads]
        at = spreads
    return wanted


def _moments(features):
    """Mean and standard deviation of each channel, (n, C) float32 each."""
    features = ops.cast(features, "float32")
    mean = ops.mean(features, axis=(1, 2))
    squares = ops.mean(ops.square(features - mean[:, None, None]), axis=(1, 2))
    return mean, ops.sqrt(squares + 1e-8)


class Glorot(keras.initializers.Initializer):
    """Glorot's uniform numbers, for a kernel (..., in, out) or (..., out, in), drawn by numpy: to
    draw them itself, JAX compiles a program for each shape, ten seconds of them for a painter."""

    def __call__(self, shape, dtype=None, **_):
        *window, one, other = shape
        bound = math.sqrt(6 / (math.prod(window) * (one + other)))
        return ops.convert_to_tensor(np.random.uniform(-bound, bound, shape), dtype or "float32")


class StylePredictor(keras.layers.Layer):
    """From the statistics of paintings to their embeddings.

    The colours are among the numbers as they are, lest it had to be learnt that a picture has those
    of its style.
    """

    def __init__(self):
        super().__init__()
        self.layers = [
            keras.layers.Dense(units, activation, kernel_initializer=Glorot())
            for units, activation in ((HIDDEN, "relu"), (HIDDEN, "relu"), (LEARNT, None))
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
        one, colours = ops.ones_like(statistics[:, :1]), statistics[:, :COLOURS]
        return ops.concatenate([one, colours, x / LEARNT**0.5, of_adapted(statistics)], axis=1)
