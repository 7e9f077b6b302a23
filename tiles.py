"""How a picture is cut into tiles, and how large a tile the memory at hand allows.

Each tile is cut with a halo as wide as the receptive field, on the grid of the poolings, and owns
its part of the picture alone: what the tiles own adds up to the whole.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from . import backend
from .settings import Settings
from .vgg import Parameters

# Peak memory over the size of the network's activations, and what is needed whatever the size,
# measured on TensorFlow (benchmarks/README.md).
MEMORY = {"float32": 2.5, "bfloat16": 3.0}
MEMORY_BASE = 0.5e9
BYTES = {"float32": 4, "bfloat16": 2}
# Pictures in float32 that a run holds besides. Adam's variable, its gradient, the two moments and
# as much again while a step is taken; of L-BFGS, its eight vectors beside the pairs of steps, and
# four more.
PICTURES = {"adam": 8, "sgd": 8, "lbfgs": 12}
AVERAGED = 2  # more with --average: the mean of the steps, and the next one
ON_HOST = 6  # of them, where the optimiser works on a GPU: the start, the best one, the one shown
TILES = (2048, 1536, 1024, 768, 512, 256)  # what --tile auto chooses from
# Numbers for each pixel that masks take besides: the photograph and what is composed with it; and
# of each region, itself and its weights at each layer, while they are made and as they are kept.
COMPOSED, REGION = 8, 4
LEAST_MEMORY = 5  # pairs of steps: what L-BFGS is left with, at least, where memory is short


@dataclass(frozen=True)
class Shape:
    """All that a tile's computation depends on besides its pixels: one compilation each."""

    height: int  # of the crop, in pixels
    width: int
    top: int  # of what the tile owns, in the crop
    left: int
    own_height: int
    own_width: int
    below: int  # 1 where a row below, or a column to the right, is in the picture
    right: int

    def own(self, features, stride: int):
        """What the tile owns of activations that are `stride` pixels apart."""
        if (self.own_height, self.own_width) == (self.height, self.width):
            return features
        y, x = self.top // stride, self.left // stride
        return features[
            :,
            y : -(-(self.top + self.own_height) // stride),
            x : -(-(self.left + self.own_width) // stride),
        ]


@dataclass(frozen=True)
class Tile:
    """A part of a picture: where its crop begins, and its shape."""

    y: int
    x: int
    shape: Shape

    @property
    def corner(self) -> tuple[int, int]:
        """Row and column of the first pixel that the tile owns."""
        return self.y + self.shape.top, self.x + self.shape.left

    def crop(self, image):
        """The tile's pixels and its halo, of (n, H, W, 3)."""
        s = self.shape
        return image[:, self.y : self.y + s.height, self.x : self.x + s.width]


def grid(height: int, width: int, tile: int, halo: int) -> list[Tile]:
    """Cut a picture into tiles that own it without overlap; `tile` 0 is the whole picture.

    Args:
        height, width: of the picture in pixels.
        tile: the side of what a tile owns, a multiple of the deepest layer's stride.
        halo: how far a tile looks beyond it, likewise.
    """
    if not tile:
        tile = max(height, width)

    def spans(length):
        for start in range(0, length, tile):
            end = min(start + tile, length)
            first = max(0, start - halo)
            yield start, end, first, min(length, end + halo)

    return [
        Tile(
            y0,
            x0,
            Shape(
                height=y1 - y0,
                width=x1 - x0,
                top=top - y0,
                left=left - x0,
                own_height=bottom - top,
                own_width=right - left,
                below=int(bottom < height),
                right=int(right < width),
            ),
        )
        for top, bottom, y0, y1 in spans(height)
        for left, right, x0, x1 in spans(width)
    ]


def fitted(
    sizes: Sequence[tuple[int, int]],
    settings: Settings,
    parameters: Parameters,
    warm: Parameters | None = None,
    regions: int = 0,
) -> Settings:
    """The settings with the tile that the memory at hand allows to every stage of a run.

    The largest stage decides, and it alone: what is free while a run is on says less than what
    was free before, and a run that has come far is not to be refused. So this is asked once.

    Where not even the smallest tile fits, L-BFGS gets a shorter memory of the curvature, each pair
    of steps of which is two pictures in float32: it finds the same, in more steps.

    Args:
        sizes: width and height of the content, then of each style, at the full size.
        settings, parameters: as for `Objective`.
        warm: the network that begins the run, if any: it comes to the full size as well.
        regions: how many masks the content has.

    Raises ValueError as `choose_tile` does, and for tiles of a network that cannot be tiled.
    """
    while True:
        try:
            tiles = [
                choose_tile(sizes, settings, one, regions) for one in (parameters, warm) if one
            ]
            break
        except ValueError:
            if settings.optimizer != "lbfgs" or settings.lbfgs_memory <= LEAST_MEMORY:
                raise
        fewer = max(LEAST_MEMORY, settings.lbfgs_memory // 2)
        settings = replace(settings, lbfgs_memory=fewer)
    tile = min(filter(None, tiles), default=0)
    for one in (parameters, warm):
        if tile and one:
            check_tiles(one, settings.layers())
    return replace(settings, tile=str(tile))


def check_tiles(parameters: Parameters, layers: Sequence[str]) -> None:
    """Raise ValueError for a network that cannot be computed in tiles down to these layers."""
    if not parameters.sized(layers):
        raise ValueError(
            "this network cannot be computed in tiles: a convolution changes the size; --tile 0"
        )


def choose_tile(
    sizes: Sequence[tuple[int, int]], settings: Settings, parameters: Parameters, regions: int = 0
) -> int:
    """The tile that a run is computed with: what --tile says, or what the memory at hand allows.

    Args:
        sizes: width and height of the content, then of each style.
        settings, parameters: as for `Objective`.
        regions: how many masks the content has.

    Returns:
        The side of a tile in pixels; 0 for the whole picture at once.

    Raises:
        ValueError: if not even the smallest tile fits, with a width that would.
    """
    if settings.tile not in ("auto", "0"):
        return int(settings.tile)
    lacks = _memory_test(sizes, settings, parameters, regions)
    names = settings.layers()
    choices = (0, *TILES) if settings.tile == "auto" and parameters.sized(names) else (0,)
    for tile in choices:
        if not lacks(tile):
            return tile
    scale = 1.0
    while scale > 1e-9 and lacks(choices[-1], scale):
        scale *= 0.95
    width = int(sizes[0][0] * math.sqrt(scale))
    needed, available, where = lacks(choices[-1])
    raise ValueError(
        f"this needs about {needed / 1e9:.1f} GB of {where} and {available / 1e9:.1f} GB are "
        "free: " + (f"--width {width} would fit" if scale > 1e-9 else "nothing would fit")
    )


def _memory_test(sizes, settings: Settings, parameters: Parameters, regions: int):
    """A function of a tile and of the share of the pictures' size: None where they fit, or else
    the bytes needed, those available, and of which memory.

    The network and the optimiser are on the device, what is read and written on the host; the two
    may be one and the same.
    """
    device = settings.device
    dtype = backend.dtype(backend.precision(settings.precision, device))
    names = settings.layers()
    per_pixel = MEMORY[dtype] * BYTES[dtype] * parameters.activations(names)
    whole = max(w * h for w, h in sizes)
    width, height = sizes[0]
    # The picture, its gradient and what the optimiser keeps; the pictures that came in.
    pairs = settings.lbfgs_memory if settings.optimizer == "lbfgs" else 0
    held = PICTURES[settings.optimizer] + 2 * pairs + AVERAGED * (settings.average > 0)
    on_host = 12 * sum(w * h for w, h in sizes)
    activations = sum(
        parameters.channels(n) / parameters.stride([n]) ** 2 for n in settings.content_weights()
    )
    on_device = BYTES[dtype] * activations * width * height  # the content's
    on_device += 12 * held * width * height
    if regions:
        on_device += 4 * (COMPOSED + REGION * regions) * width * height
    free = {"memory": backend.available_memory(device)}
    is_shared = backend.shares_memory(device)
    if not is_shared:
        on_host += 12 * ON_HOST * width * height
        free = {
            "memory on the GPU": free["memory"],
            "memory": backend.available_memory("cpu"),
        }

    def needed(tile, scale):
        at_once = (tile + 2 * parameters.reach(names)) ** 2 if tile else whole * scale
        network = scale * on_device + per_pixel * min(at_once, whole * scale)
        arrays = scale * on_host
        if is_shared:
            return {"memory": MEMORY_BASE + arrays + network}
        return {"memory on the GPU": MEMORY_BASE + network, "memory": MEMORY_BASE + arrays}

    def lacks(tile, scale=1.0):
        for where, size in needed(tile, scale).items():
            if free[where] is not None and size > free[where]:
                return size, free[where], where
        return None

    return lacks
