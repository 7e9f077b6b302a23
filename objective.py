"""What is minimised, as a function of the image alone: whole, or tile by tile and just the same.

The content and total-variation losses are sums over positions, and the style loss is a function
of Gram matrices that are sums over positions. So a first pass over tiles adds up the Gram
matrices; then the style loss L and D = dL/dG are known, and a second pass back-propagates
Σ D·G(tile) + content(tile) + tv(tile) through each tile. Each tile is cut with a halo as wide as
the receptive field, on the grid of the poolings, and only what it owns is counted: the sum of the
tiles' gradients is the gradient, to rounding. Nothing here is an approximation.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import keras
import numpy as np
from keras import ops

import backend
import losses
import vgg
from settings import Settings

# Peak memory over the size of the network's activations, and what is needed whatever the size,
# measured on TensorFlow (benchmarks/README.md).
MEMORY = {"float32": 2.5, "bfloat16": 3.0}
MEMORY_BASE = 0.5e9
BYTES = {"float32": 4, "bfloat16": 2}
TILES = (2048, 1536, 1024, 768, 512, 256)  # what --tile auto chooses from
LEAST_MEMORY = 5  # pairs of steps: what L-BFGS is left with, at least, where memory is short


@dataclass(frozen=True)
class Losses:
    """The three weighted terms of the objective, and their sum."""

    content: float
    style: float
    tv: float
    total: float

    def __str__(self):
        return (
            f"total {self.total:.6g}, content {self.content:.6g}, "
            f"style {self.style:.6g}, tv {self.tv:.6g}"
        )


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

    def crop(self, image):
        """The tile's pixels and its halo, of (1, H, W, 3)."""
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


class Objective:
    """The content, style and total-variation losses of an image, and their gradient."""

    def __init__(
        self,
        content: np.ndarray,
        styles: Sequence[np.ndarray],
        settings: Settings,
        parameters: vgg.Parameters,
        tile: int = 0,
    ):
        """Build the network down to the deepest layer in use and take its targets.

        Args:
            content: (H, W, 3) RGB in 0..255.
            styles: likewise, each of any size.
            settings: the weights, the layers, the pooling and the precision.
            parameters: the network, from `vgg.load`.
            tile: the side of the tiles in pixels, rounded up to the poolings' grid; 0 for none.

        Raises:
            ValueError: for a picture too small for the deepest layer, a layer that the network
                lacks or that cannot be tiled, or a number of weights that is not the number of
                styles.
        """
        self.settings = settings
        names = settings.layers()
        check_sizes([p.shape[1::-1] for p in (content, *styles)], settings, parameters)
        shares = settings.style_shares(len(styles))
        self.content_weights, self.style_weights = (
            settings.content_weights(),
            settings.style_weights(),
        )
        self.network = vgg.build(
            parameters, names, settings.pooling, backend.precision(settings.precision)
        )
        self.strides = {name: parameters.stride([name]) for name in names}
        stride = parameters.stride(names)
        if tile and not parameters.sized(names):
            raise ValueError(
                "this network cannot be computed in tiles: a convolution changes the size; --tile 0"
            )
        tile = -(-tile // stride) * stride
        halo = -(-parameters.reach(names) // stride) * stride if tile else 0
        self.size = content.shape[:2]
        self.tiles = grid(*self.size, tile, halo)
        self._compiled = {}

        def taken(picture, layers):
            """The picture's tiles, each with what it owns of each layer's activations."""
            tap = keras.Model(self.network.input, {n: self.network.output[n] for n in layers})
            image = vgg.preprocess(picture, parameters.mean_pixel)
            for part in grid(*picture.shape[:2], tile, halo):
                features = self._own(tap(part.crop(image)), part.shape)
                yield {name: ops.stop_gradient(f) for name, f in features.items()}

        self.content_targets = [{} for _ in self.tiles]
        if self.content_weights:
            self.content_targets = list(taken(content, self.content_weights))
        self.styles = []  # (share, Gram matrices) of each style
        if self.style_weights:
            for share, style in zip(shares, styles):
                grams = (self._grams(f, style.shape[:2]) for f in taken(style, self.style_weights))
                self.styles.append((share, functools.reduce(ops.add, grams)))

    def __call__(self, image):
        """(1, H, W, 3) less the mean pixel -> (4,) float32: content, style, tv, total.

        For an objective without tiles only; it can be traced and differentiated.
        """
        [tile], [targets] = self.tiles, self.content_targets
        content, tv, grams = self._parts(image, targets, tile.shape)
        terms = content, self._style(grams), tv
        return ops.stack([*terms, sum(terms)])

    def evaluate(self, image) -> Losses:
        """The losses of (1, H, W, 3) less the mean pixel, whole or by tiles."""
        if len(self.tiles) == 1:
            whole = self._compile("whole", lambda: backend.seldom(self, self.network))
            return Losses(*_numbers(whole(ops.convert_to_tensor(image))))
        content, tv, grams = self._gather(image)
        style = float(self._style(grams))
        return Losses(content, style, tv, content + style + tv)

    def gradient(self, image) -> tuple[Losses, np.ndarray]:
        """The losses of an image and the gradient of their total, whole or by tiles.

        Args:
            image: (1, H, W, 3) float32 less the mean pixel, an array or a tensor.

        Returns:
            The losses and a float32 array of the image's shape.
        """
        if len(self.tiles) == 1:

            def whole(image):
                terms = self(image)
                return terms[-1], terms

            run = self._compile("gradient", lambda: backend.differentiator(whole, self.network))
            terms, gradient = run(ops.convert_to_tensor(image))
            return Losses(*_numbers(terms)), ops.convert_to_numpy(gradient)
        content, tv, grams = self._gather(image)

        def of_grams(grams):
            style = self._style(grams)
            return style, style

        run = self._compile("style", lambda: backend.differentiator(of_grams, self.network))
        style, pull = run(grams)
        gradient = np.zeros((1, *self.size, 3), np.float32)
        for tile, targets in zip(self.tiles, self.content_targets):

            def of_tile(crop, targets, pull, shape=tile.shape):
                content, tv, grams = self._parts(crop, targets, shape)
                value = content + tv + ops.sum(pull * grams)
                return value, value

            run = self._compile(
                ("pull", tile.shape), lambda f=of_tile: backend.differentiator(f, self.network)
            )
            _, part = run(ops.convert_to_tensor(tile.crop(image)), targets, pull)
            view = tile.crop(gradient)
            view += ops.convert_to_numpy(part)
        style = float(style)
        return Losses(content, style, tv, content + style + tv), gradient

    def _gather(self, image):
        """The first pass: content and tv losses as numbers, and the Gram matrices, of all tiles."""
        content = tv = 0.0
        total = 0.0
        for tile, targets in zip(self.tiles, self.content_targets):

            def of_tile(crop, targets, shape=tile.shape):
                return self._parts(crop, targets, shape)

            run = self._compile(
                ("gather", tile.shape), lambda f=of_tile: backend.evaluator(f, self.network)
            )
            one, other, grams = run(ops.convert_to_tensor(tile.crop(image)), targets)
            content, tv = content + float(one), tv + float(other)
            total = total + ops.convert_to_numpy(grams).astype(np.float64)
        return content, tv, ops.convert_to_tensor(total.astype(np.float32))

    def _parts(self, crop, targets, shape: Shape):
        """A tile's share of the content and tv losses, and of the Gram matrices."""
        s = self.settings
        features = self._own(self.network(crop), shape) if s.layers() else {}
        content = sum(
            weight
            * losses.content_loss(
                features[name], targets[name], s.content_loss, self._positions(name, self.size)
            )
            for name, weight in self.content_weights.items()
        )
        content = s.content_weight * s.activation_scale**2 * content
        rows = slice(shape.top, shape.top + shape.own_height)
        columns = slice(shape.left, shape.left + shape.own_width)
        below = slice(rows.start, rows.stop + shape.below)
        right = slice(columns.start, columns.stop + shape.right)
        tv = s.tv_weight * losses.total_variation(
            crop[:, below, columns], crop[:, rows, right], self.size
        )
        return ops.cast(content, "float32"), tv, self._grams(features, self.size)

    def _own(self, features, shape: Shape):
        return {name: shape.own(f, self.strides[name]) for name, f in features.items()}

    def _positions(self, name: str, size) -> int:
        """How many positions a layer has in a whole picture of this height and width."""
        return math.prod(-(-side // self.strides[name]) for side in size)

    def _grams(self, features, size):
        """The Gram matrices of all style layers, one after the other in one vector."""
        parts = [
            self.settings.activation_scale**2
            * losses.gram_matrix(features[name], self._positions(name, size))
            for name in self.style_weights
        ]
        return ops.concatenate([ops.reshape(g, (-1,)) for g in parts]) if parts else ops.zeros((1,))

    def _style(self, grams):
        """The style loss, from the Gram matrices in one vector."""
        total, at = ops.zeros(()), 0
        for name, weight in self.style_weights.items():
            n = self.network.output[name].shape[-1]
            end = at + n * n
            for share, target in self.styles:
                pair = (ops.reshape(g[at:end], (n, n)) for g in (grams, target))
                total = total + share * weight * losses.style_loss(*pair, self.settings.style_loss)
            at = end
        return self.settings.style_weight * total

    def _compile(self, key, make):
        """A compiled function, made once: tiles of one shape share theirs."""
        if key not in self._compiled:
            self._compiled[key] = make()
        return self._compiled[key]


def _numbers(tensor) -> list[float]:
    return ops.convert_to_numpy(tensor).tolist()


def check_sizes(sizes: Sequence[tuple[int, int]], settings: Settings, parameters: vgg.Parameters):
    """Raise ValueError for a picture that is too small to give the deepest layer one unit.

    Args:
        sizes: width and height of the content, then of each style.
        settings, parameters: as for `Objective`.
    """
    least = max(2, parameters.stride(settings.layers()))
    for i, (width, height) in enumerate(sizes):
        if min(width, height) < least:
            raise ValueError(
                f"{f'style {i}' if i else 'the content'} is {width}x{height} pixels; with this "
                f"network and these layers it must be at least {least}x{least}"
            )


def fitted(
    sizes: Sequence[tuple[int, int]], settings: Settings, parameters: vgg.Parameters
) -> Settings:
    """The settings with the tile that the memory at hand allows; see `choose_tile`.

    Where not even the smallest tile fits, L-BFGS gets a shorter memory of the curvature, each pair
    of steps of which is two pictures in float64: it finds the same, in more steps.
    """
    while True:
        try:
            return replace(settings, tile=str(choose_tile(sizes, settings, parameters)))
        except ValueError:
            if settings.optimizer != "lbfgs" or settings.lbfgs_memory <= LEAST_MEMORY:
                raise
        fewer = max(LEAST_MEMORY, settings.lbfgs_memory // 2)
        settings = replace(settings, lbfgs_memory=fewer)


def choose_tile(
    sizes: Sequence[tuple[int, int]], settings: Settings, parameters: vgg.Parameters
) -> int:
    """The tile that a run is computed with: what --tile says, or what the memory at hand allows.

    Args:
        sizes: width and height of the content, then of each style.
        settings, parameters: as for `Objective`.

    Returns:
        The side of a tile in pixels; 0 for the whole picture at once.

    Raises:
        ValueError: if not even the smallest tile fits, with a width that would.
    """
    if settings.tile not in ("auto", "0"):
        return int(settings.tile)
    available = backend.available_memory(settings.device)
    if available is None:
        return 0
    precision = backend.precision(settings.precision)
    names = settings.layers()
    per_pixel = MEMORY[precision] * BYTES[precision] * parameters.activations(names)
    whole = max(w * h for w, h in sizes)
    # The picture, its gradient and what the optimiser keeps; the content's activations.
    numbers = 3 * (2 * settings.lbfgs_memory + 12) * 2 if settings.optimizer == "lbfgs" else 3 * 8
    kept = 4 * numbers + sum(
        BYTES[precision] * parameters.channels(n) / parameters.stride([n]) ** 2
        for n in settings.content_weights()
    )
    width, height = sizes[0]
    pictures = 12 * sum(w * h for w, h in sizes)

    def needed(tile, scale=1.0):
        at_once = (tile + 2 * parameters.reach(names)) ** 2 if tile else whole * scale
        whatever = MEMORY_BASE + scale * (kept * width * height + pictures)
        return whatever + per_pixel * min(at_once, whole * scale)

    choices = (0, *TILES) if settings.tile == "auto" and parameters.sized(names) else (0,)
    for tile in choices:
        if needed(tile) <= available:
            return tile
    scale = 1.0
    while scale > 1e-9 and needed(choices[-1], scale) > available:
        scale *= 0.95
    fits = int(width * math.sqrt(scale))
    raise ValueError(
        f"this needs about {needed(choices[-1]) / 1e9:.1f} GB of memory and "
        f"{available / 1e9:.1f} GB are free: "
        + (f"--width {fits} would fit" if scale > 1e-9 else "nothing would fit")
    )
