"""After a painter's one pass: a few steps of L-BFGS on the picture itself, by the compact network.

What a painter has not learnt of a painting, the painting's own Gram matrices say. The compact
network sees them when it looks at the painting, and a decoder of named styles keeps them. Its
gradient costs as much as the pass, and the first ones take the most off the loss.
"""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
from keras import ops

from .. import backend, losses, networks, tiles, vgg
from ..minimise.lbfgs import LBFGS
from ..objective import Objectives
from ..settings import PRESETS, RECIPES, Settings
from .predictor import gram_matrices

# The objective that painters learn by default, and the coordinates of the preset `fast`.
SETTINGS = Settings(
    **RECIPES["ours"].settings,
    optimizer="lbfgs",
    lbfgs_frequency=PRESETS["fast"].settings["lbfgs_frequency"],
)
# Grey levels that the first step moves a pixel, on average: what a painter for any style has made
# is further from a minimum than what one has that has learnt its styles.
FIRST_STEP, LEARNT_FIRST_STEP = 2.0, 0.7
MOST_KEPT = 4  # sizes of pictures, of which what is compiled is kept
BLANK = np.zeros((64, 64, 3), np.float32)  # in place of a style whose Gram matrices are known


class Refiner:
    """Refines pictures on a device; those of one size share all that is compiled."""

    def __init__(self, device: str | None = None):
        """`device` is as in `Settings`, and has the arithmetic of float32 from here on."""
        self.settings = replace(SETTINGS, device=device)
        self._parameters = vgg.load(networks.COMPACT)
        self._objectives = Objectives(MOST_KEPT)
        backend.arithmetic(self.settings.precision, device)

    def choose_tile(self, size: tuple[int, int], steps: int, asked: str = "auto") -> int:
        """As `tiles.choose_tile`, for a picture of this width and height."""
        settings = replace(self.settings, lbfgs_memory=max(1, steps), tile=asked)
        return tiles.choose_tile([size], settings, self._parameters)

    def __call__(
        self,
        painted: np.ndarray,
        photograph: np.ndarray,
        grams: np.ndarray,
        steps: int,
        tile: int,
        first_step: float,
    ) -> np.ndarray:
        """A painted picture after so many evaluations of the gradient, and a step for each that
        went well. The last step is not evaluated any more; where a line search is under way, the
        best picture so far is the result.

        Args:
            painted, photograph: (H, W, 3) RGB in 0..255.
            grams: of the style, (`GRAMS`,) float32, as `Eyes.look` gives them.
            steps: at least 1.
            tile: the side of the tiles in pixels; 0 for the whole at once.
            first_step: `FIRST_STEP` or `LEARNT_FIRST_STEP`, as the painter is.

        Returns:
            (H, W, 3) float32 RGB in 0..255.
        """
        style = {k: ops.convert_to_tensor(gram) for k, gram in gram_matrices(grams).items()}
        targets = [
            term.target([[style]]) if isinstance(term, losses.Gram) else None
            for term in losses.terms(self.settings, styles=1)
        ]
        objective = self._objectives(
            *(photograph, [BLANK], self.settings, self._parameters, tile), targets=targets
        )
        mean_pixel = self._parameters.mean_pixel
        start = vgg.preprocess(painted, mean_pixel)
        minimiser = LBFGS(objective, start, self.settings, mean_pixel, first_step=first_step)
        minimiser.advance(steps)
        begins = minimiser.search is not None and not minimiser.search.trials
        image = minimiser.next_point if begins and not minimiser.finished else minimiser.best
        return vgg.unprocess(minimiser.on.array(image), mean_pixel)


refiner = functools.cache(Refiner)
