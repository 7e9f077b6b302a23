"""How a frame is painted: optimised, or by a painter; alone, or held to the one before."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from .. import pictures, vgg
from ..losses import Temporal
from ..objective import Objectives
from ..painters.painting import choose_tile, paint
from ..pictures import Masks
from ..runs import transfer
from ..runs.painting import how_of
from ..runs.transfer import Networks
from ..settings import Film, Settings
from . import flow

BLURS = (1, 2, 4)  # pixels: the deviations of the Gaussians between octaves of frequencies
MOST_CONTRAST = 2.0  # that an octave is multiplied by


@dataclass(frozen=True)
class Held:
    """What a frame is held to."""

    before: np.ndarray  # (H, W, 3) float32 in 0..255: the painted frame before, moved
    reliable: np.ndarray  # (H, W) float32 in 0..1: where


def held_to(painted: np.ndarray, before: np.ndarray, content: np.ndarray) -> Held | None:
    """What a frame is held to; None where a scene begins with it.

    Args:
        painted: the painted frame before, (H, W, 3) in 0..255.
        before, content: that frame of the film, and this one, (H, W, 3) uint8.
    """
    back, forth = flow.optical_flow(content, before), flow.optical_flow(before, content)
    reliable = flow.reliable(back, forth)
    if flow.is_cut(before, content, back, reliable):
        return None
    moved = flow.warped(np.asarray(painted, np.float32), back)
    return Held(moved.clip(0, 255), reliable)


class Optimiser:
    """Paints frames by minimising the objective of a picture with a temporal term more.

    A frame that is held to another begins with it, and so needs few iterations, all at the full
    size; one that is not goes through the whole schedule. Networks, the styles' targets and what is
    compiled are those of the first frame.
    """

    def __init__(
        self,
        styles: Sequence[np.ndarray],
        settings: Settings,
        film: Film,
        used: Networks,
        masks: Masks,
        shapes: Sequence[tuple[int, int]],
        first: np.ndarray,
        stop: Callable[[], bool] = lambda: False,
    ):
        """
        Args:
            styles: (H, W, 3) each.
            settings: from `transfer.resolved`.
            film: the weight of the temporal term, and the iterations of a frame that is held.
            used: the networks.
            masks: what of each style is taken.
            shapes: width and height of the frames and of each style, as they are worked on.
            first: the film's first frame, (H, W, 3), whose colours the styles match if they are to.
            stop: asked about once a second; once true, no more frames are painted.
        """
        # What a frame is judged by is never printed. The photograph's colours come at the end.
        s = dataclasses.replace(settings, print_iterations=10**9)
        if s.colors == "match":
            styles = [pictures.resize(*one) for one in _sized(styles, shapes[1:])]
            styles = transfer.matched(styles, np.asarray(first, np.float32), masks)
        self.alone = dataclasses.replace(s, colors="style")
        self.held = dataclasses.replace(
            self.alone,
            iterations=film.frame_iterations,
            scales="off",
            warm_start=None,
            painter=None,
            style=None,
            initial_noiseblend=0.0,
        )
        self.styles, self.used, self.masks, self.shapes = styles, used, masks, shapes
        self.weight, self.stop = film.hold(True), stop
        self.objectives = Objectives()

    def __call__(
        self, content: np.ndarray, held: Held | None = None, initial: np.ndarray | None = None
    ) -> np.ndarray | None:
        """(H, W, 3) float32 in 0..255; None where it was stopped.

        Args:
            content: the frame, (H, W, 3).
            held: what it is held to; None for a frame of its own.
            initial: what it begins with, if not what it is held to.
        """
        term, settings, used = Temporal(self.weight), self.alone, self.used
        if held is not None:
            before = vgg.preprocess(held.before, used.network.mean_pixel).astype(np.float32)
            term = Temporal(self.weight, before, held.reliable)
            initial = held.before if initial is None else initial
        if initial is not None:
            settings, used = self.held, dataclasses.replace(used, warm=None)
        steps = transfer.painted(
            *(content, self.styles, settings, self.shapes, used, initial, None, self.stop),
            on_step=lambda iteration: None,
            masks=self.masks,
            objective=functools.partial(self.objectives, more=[term]),
        )
        *_, last = steps
        return None if self.stop() else last.image


class Painting:
    """Paints frames by a painter, and brings each as near to the one before as the temporal term
    asks for: with p the painted frame, w what it is held to and c where,

        argmin over x of (x - p)² + weight c (x - w)²  =  (p + weight c w) / (1 + weight c).

    Where the two disagree their average is flat, which costs style; so it gets back the contrast
    that p has.
    """

    def __init__(self, painter, style, settings: Settings, film: Film, size):
        """
        Args:
            painter: from `painters.load`.
            style: as `paint` takes it.
            settings: the seed, the strength, the refining, the device and the tile.
            film: the weight of the temporal term.
            size: width and height of the frames.
        """
        self.painter, self.style, self.seed = painter, style, settings.seed
        s, self.how = settings, how_of(settings)
        self.tile = choose_tile(painter, size, s.device, s.tile, s.refine)
        self.weight = film.hold(False)

    def __call__(self, content: np.ndarray, held: Held | None = None, initial=None) -> np.ndarray:
        """(H, W, 3) float32 in 0..255, as `Optimiser` does; it begins with nothing."""
        painted = paint(self.painter, content, self.style, self.seed, self.tile, **self.how)
        if held is None:
            return painted
        where = held.reliable[..., np.newaxis]
        counts = self.weight * where
        blended = (painted + counts * held.before) / (1 + counts)
        found = blended + where * (with_contrast(blended, painted) - blended)
        return found.clip(0, 255)


def with_contrast(blended: np.ndarray, painted: np.ndarray) -> np.ndarray:
    """A blend with the contrast of what is painted, in each octave of spatial frequencies.

    Args:
        blended, painted: (H, W, 3) float32.
    """
    *octaves, rest = _octaves(blended)
    for ours, theirs in zip(octaves, _octaves(painted)):
        lost = theirs.std((0, 1)) / np.maximum(ours.std((0, 1)), 1e-3)
        rest = rest + np.clip(lost, 1, MOST_CONTRAST) * ours
    return rest


def _octaves(picture: np.ndarray) -> list[np.ndarray]:
    """What a picture has between one blur and the next, the finest first, and what is left."""
    found, left = [], np.asarray(picture, np.float32)
    for sigma in BLURS:
        coarser = cv2.GaussianBlur(left, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
        found.append(left - coarser)
        left = coarser
    return [*found, left]


def _sized(pictures, shapes):
    return [(picture, *shape) for picture, shape in zip(pictures, shapes)]
