"""Optimisation trajectories: what a network is shown while a picture is optimised with it."""

from __future__ import annotations

import keras
import numpy as np
from neural_style_keras import vgg
from neural_style_keras.objective import Objective
from neural_style_keras.settings import Settings

STEPS, KEPT = 80, 6  # steps of Adam, and how many pictures of each trajectory are returned
RATE = 10.0
RANGE = -50, 305  # of what is returned: Adam leaves 0..255 by a little


def trajectories(
    parameters: vgg.Parameters, contents, styles, random, precision: str = "float32"
) -> np.ndarray:
    """Stylise a batch of pictures by the default objective and Adam, and sample the trajectories.

    A third starts at its content, a third at noise, a third in between.

    Args:
        parameters: a network with the layers of the default objective.
        contents, styles: (n, H, W, 3) float32 RGB in 0..255.
        random: numpy's generator.
        precision: of the network.

    Returns:
        (KEPT * n, H, W, 3) float32 RGB, in `RANGE`.
    """
    settings = Settings(tv_weight=0, precision=precision)
    objective = Objective(contents, [styles], settings, parameters)
    share = random.choice([0.0, 0.5, 1.0], (len(contents), 1, 1, 1))
    noise = random.normal(scale=random.choice([0.256, 60.0]), size=contents.shape)
    start = vgg.preprocess(contents, parameters.mean_pixel) * (1 - share) + noise * share
    image = keras.Variable(start.astype(np.float32))
    adam = keras.optimizers.Adam(RATE)
    adam.build([image])
    # Closer together at the beginning, where most happens.
    samples = set((STEPS * np.linspace(0.15, 1, KEPT) ** 2).astype(int).tolist())
    found = []
    for step in range(STEPS + 1):
        if step in samples:
            found.append(keras.ops.convert_to_numpy(image.value) + parameters.mean_pixel)
        _, gradient = objective.gradient(image.value)
        adam.apply([keras.ops.convert_to_tensor(gradient)], [image])
    return np.clip(np.concatenate(found), *RANGE).astype(np.float32)
