"""After a painter's one pass: a few gradients, by the compact network that it sees paintings with,
of the objective that it has learnt.

What a painter for any style has not learnt of a painting, the painting's own Gram matrices say. A
gradient of the compact network costs half as much as the pass itself, and the first ones take the
most off the loss.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping

import numpy as np
from keras import ops

from .. import networks, vgg
from ..minimise.lbfgs import LBFGS
from ..objective import Objectives
from ..settings import RECIPES, Settings

# What painters learn by default; L-BFGS works in the cosine transform, as in the preset `fast`.
SETTINGS = Settings(**RECIPES["ours"].settings, lbfgs_frequency=0.35)
FIRST_STEP = 2.0  # grey levels that the first step moves a pixel, on average
BLANK = np.zeros((16, 16, 3), np.float32)


class Refiner:
    """Refines pictures; those of one size share all that is compiled."""

    def __init__(self):
        self._parameters = vgg.load(networks.COMPACT)
        self._objectives = Objectives()

    def __call__(
        self,
        painted: np.ndarray,
        photograph: np.ndarray,
        grams: Mapping[str, np.ndarray],
        steps: int,
        tile: int = 0,
    ) -> np.ndarray:
        """A painted picture after some steps of L-BFGS, each of which costs a gradient.

        Args:
            painted, photograph: (H, W, 3) RGB in 0..255.
            grams: of the style's layers, (1, C, C) each, from `Eyes.look`.
            steps: how many.
            tile: the side of the tiles in pixels; 0 for the whole at once.

        Returns:
            (H, W, 3) float32 RGB in 0..255.
        """
        objective = self._objectives(photograph, [BLANK], SETTINGS, self._parameters, tile)
        style = {layer: ops.convert_to_tensor(gram) for layer, gram in grams.items()}
        objective.targets = [[style] if term.name == "style" else None for term in objective.terms]
        mean_pixel = self._parameters.mean_pixel
        start = vgg.preprocess(painted, mean_pixel)
        minimiser = LBFGS(objective, start, SETTINGS, mean_pixel, first_step=FIRST_STEP)
        minimiser.advance(steps)
        image = minimiser.best if minimiser.finished else minimiser.next
        return vgg.unprocess(minimiser.on.array(image), mean_pixel)


refiner = functools.cache(Refiner)
