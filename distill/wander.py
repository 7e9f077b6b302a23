"""Pictures on their way: what a network is shown while a picture is optimised with it."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

import backend
from settings import Settings

STEPS, KEPT = 80, 6  # steps of Adam, and how many pictures are kept of each way
RATE = 10.0
RANGE = -50, 305  # of what is kept: Adam leaves 0..255 by a little


def gram_matrices(features):
    """(n, H, W, N) of any float dtype -> (n, N, N) float32: each picture's Gram matrix."""
    _, height, width, channels = features.shape
    flat = ops.reshape(ops.cast(features, "float32"), (-1, height * width, channels))
    return ops.matmul(ops.transpose(flat, (0, 2, 1)), flat) / (height * width * channels)


def wander(network: keras.Model, contents, styles, mean_pixel, random) -> np.ndarray:
    """Stylise pictures, many at once, by the default objective and Adam, and keep some of the way.

    A third starts at its content, a third at noise, a third in between.

    Args:
        network: gives at least the layers of the default objective, of (n, H, W, 3).
        contents, styles: (n, H, W, 3) float32 RGB in 0..255.
        mean_pixel: (3,) RGB.
        random: numpy's generator.

    Returns:
        (KEPT * n, H, W, 3) float32 RGB, in `RANGE`.
    """
    settings = Settings()
    style_weights, content_weights = settings.style_weights(), settings.content_weights()

    def features_of(pictures):
        features = network(ops.convert_to_tensor(pictures - mean_pixel))
        kept = [features[name] for name in content_weights]
        return kept + [gram_matrices(features[name]) for name in style_weights]

    def objective(image, wanted, looks):
        features = network(image)
        content = sum(
            weight * ops.mean(ops.square(ops.cast(features[name] - target, "float32")), (1, 2, 3))
            for (name, weight), target in zip(content_weights.items(), wanted)
        )
        style = sum(
            weight * ops.mean(ops.square(gram_matrices(features[name]) - target), (1, 2))
            for (name, weight), target in zip(style_weights.items(), looks)
        )
        total = ops.sum(settings.content_weight * content + settings.style_weight * style)
        return total, total

    count = len(content_weights)
    take = backend.evaluator(features_of, network)
    wanted, looks = take(contents.astype(np.float32)), take(styles.astype(np.float32))
    gradient = backend.differentiator(objective, network)
    share = random.choice([0.0, 0.5, 1.0], (len(contents), 1, 1, 1))
    noise = random.normal(scale=random.choice([0.256, 60.0]), size=contents.shape)
    start = (contents - mean_pixel) * (1 - share) + noise * share
    image = keras.Variable(start.astype(np.float32))
    adam = keras.optimizers.Adam(RATE)
    adam.build([image])
    # Closer together at the beginning, where most happens.
    stops = set((STEPS * np.linspace(0.15, 1, KEPT) ** 2).astype(int).tolist())
    kept = []
    for step in range(STEPS + 1):
        if step in stops:
            kept.append(ops.convert_to_numpy(image.value) + mean_pixel)
        _, slope = gradient(image.value, wanted[:count], looks[count:])
        adam.apply([slope], [image])
    return np.clip(np.concatenate(kept), *RANGE).astype(np.float32)
