"""The sizes that a run goes through, coarse to fine, and the network that works at each.

Nothing here computes: a schedule can be printed, and tested by itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..settings import Settings

if TYPE_CHECKING:  # it imports Keras, and what a run will write is known without
    from ..vgg import Parameters

COARSEST = 64  # the shorter side of the picture at the coarsest size, at least
WARM_SHARE = 0.45  # of the iterations at the full size that are the warm start's
WARM_MEMORY = 10  # pairs of steps of L-BFGS in the warm start, at most: as good, and cheap


@dataclass(frozen=True)
class Stage:
    """A part of a run: one size of the picture, one network."""

    width: int  # of the picture in pixels
    height: int
    end: int  # the last iteration, counted from the start of the run
    network: Parameters
    is_warm: bool = False  # whether another network ends the run
    lbfgs_memory: int = 0  # pairs of steps that L-BFGS keeps

    def __str__(self):
        network = " with the warm start's network" if self.is_warm else ""
        return f"{self.width}x{self.height} to iteration {self.end}{network}"


def sizes(
    width: int, height: int, settings: Settings, least: int = 1
) -> list[tuple[int, int, int]]:
    """The sizes that a run goes through, coarse to fine.

    Args:
        width, height: of the result in pixels.
        settings: the factor from a size to the next, the coarsest, and the iterations: so many
            at the first and at each of the others, or all of them with the ratio of their shares.
        least: the shortest side that there may be.

    Returns:
        (width, height, last iteration) of each size; the last is the result's.
    """
    found, factor = [(width, height)], settings.scale_factor()
    first, each = settings.scale_first, settings.iterations
    while factor and (first or len(found) < each):
        shrink = factor ** len(found)
        size = (round(width / shrink), round(height / shrink))
        if min(size) < max(COARSEST, least) or max(size) < settings.scales_from:
            break
        found.append(size)
    if factor and first:
        first = max(1, round(first * each))
        return [(*size, first + i * each) for i, size in enumerate(reversed(found))]
    weights = [settings.scale_ratio**-i for i in range(len(found))]
    ends, done = [], 0
    for i, (w, h) in reversed(list(enumerate(found))):
        rest = sum(weights[: i + 1])
        left = each - done
        done += max(1, min(round(left * weights[i] / rest), left - i))
        ends.append((w, h, done))
    return ends


def schedule(
    shapes: Sequence[tuple[int, int]],
    settings: Settings,
    network: Parameters,
    warm: Parameters | None = None,
    regions: Sequence[int] = (),
) -> list[Stage]:
    """The stages of a run; a warm start has all of them but the end of the last size.

    Args:
        shapes: width and height of the content, then of each style.
        settings: everything that can be chosen.
        network: the one that ends the run.
        warm: the one that begins it, if any.
        regions: the sides of the squares that count like the regions of masks.
    """
    width, height = shapes[0]
    # The styles shrink with the content, and the network needs a few pixels of each.
    shortest = min([*(min(shape) for shape in shapes), *regions])
    stride = max(one.stride(settings.layers()) for one in (network, warm) if one)
    least = math.ceil(stride * min(width, height) / shortest) + 1
    *coarse, finest = sizes(width, height, settings, least)
    memory = settings.lbfgs_memory
    last = Stage(*finest, network, lbfgs_memory=memory)
    if warm is None:
        return [*(Stage(*size, network, lbfgs_memory=memory) for size in coarse), last]
    begin = coarse[-1][2] if coarse else 0
    split = begin + int(WARM_SHARE * (last.end - begin))
    if split > begin:
        coarse.append((width, height, split))
    memory = min(memory, WARM_MEMORY)
    return [*(Stage(*size, warm, is_warm=True, lbfgs_memory=memory) for size in coarse), last]
