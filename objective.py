"""What is minimised, as a function of the image alone: whole, or tile by tile and just the same.

Each term adds something up over positions: a loss, or statistics of which the loss is a function
(see `losses.Term`). So a first pass over the tiles gives the sums s; then the total loss L(s) and
D = dL/ds are known, and a second pass back-propagates Σ D·s(tile) through each tile (D is 1 where s
is a loss itself). Each tile sees a halo as wide as the receptive field, and only what it owns is
counted: the sum of the tiles' gradients is the gradient, to rounding. Nothing here is an
approximation.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import keras
import numpy as np
from keras import ops, tree

from . import backend, losses, pictures, vgg
from .settings import Settings
from .tiles import Shape, check_tiles, grid


@dataclass(frozen=True)
class Losses:
    """The weighted loss of each term, summed over a batch, and their sum.

    A term's loss is an attribute as well: `losses.style`.
    """

    terms: Mapping[str, float]
    total: float

    def __getattr__(self, name):
        if name in self.__dict__.get("terms", {}):
            return self.terms[name]
        raise AttributeError(f"there is no term {name}")

    def __str__(self):
        return ", ".join(f"{k} {v:.6g}" for k, v in [("total", self.total), *self.terms.items()])


class Objective:
    """The sum of the terms of a picture, or of a batch of pictures, and its gradient."""

    def __init__(
        self,
        content: np.ndarray,
        styles: Sequence[np.ndarray],
        settings: Settings,
        parameters: vgg.Parameters,
        tile: int = 0,
        masks: pictures.Masks | None = None,
        on_tile: Callable[[float], None] = lambda share: None,
    ):
        """Build the network down to the deepest layer in use and take its targets.

        Args:
            content: (H, W, 3) RGB in 0..255; or a batch (n, H, W, 3), each of its own.
            styles: likewise, each of any size; a batch has a style for each content.
            settings: the weights, the layers, the pooling, the padding and the precision.
            parameters: the network, from `vgg.load`.
            tile: the side of the tiles in pixels, rounded up to the poolings' grid; 0 for none.
            masks: where each style goes and what of it is taken, of any size; where nothing is
                painted, the content's pixels stand in the image's place.
            on_tile: called after each tile of a gradient with the share of it that is done.

        Raises:
            ValueError: for a picture too small for the deepest layer, a layer that the network
                lacks or that cannot be tiled, or a number of weights that is not the number of
                styles.
        """
        masks = masks or pictures.Masks()
        pixels = math.prod(content.shape[-3:-1])
        self.terms = losses.terms(settings, len(styles), bool(masks.regions), pixels)
        names = list(dict.fromkeys(layer for term in self.terms for layer in term.layers))
        check_sizes([p.shape[-2:-4:-1] for p in (content, *styles)], settings, parameters)
        self.precision = backend.arithmetic(settings.precision, settings.device)
        self.network = vgg.build(
            parameters, names, settings.pooling, self.precision, settings.padding
        )
        self.strides = {name: parameters.stride([name]) for name in names}
        stride = parameters.stride(names)
        if tile:
            check_tiles(parameters, names)
        tile = -(-tile // stride) * stride
        # One pixel at least, for the differences of neighbours.
        halo = -(-max(1, parameters.reach(names)) // stride) * stride if tile else 0
        self._cut = functools.partial(grid, tile=tile, halo=halo)
        self._mean_pixel = parameters.mean_pixel
        self._compiled, self._on_tile = {}, on_tile

        self.size = content.shape[-3:-1]
        self.tiles = self._cut(*self.size)
        self._painted = self._photograph = None
        if masks.painted is not None:
            mask = pictures.resize_mask(masks.painted, *self.size[::-1])
            self._painted = ops.convert_to_tensor(mask[..., np.newaxis])
            photograph = vgg.preprocess(content, self._mean_pixel)
            self._photograph = ops.convert_to_tensor(photograph, "float32")
        by_position = [term for term in self.terms if not hasattr(term, "loss")]
        # What each term compares each tile with, and then what it compares the sums with.
        self.taken = [
            tree.map_structure(_constant, [term.take(view) for term in self.terms])
            for view in self._views(content, by_position, masks.regions, masks.painted)
        ]
        self.targets = self.targets_of(styles, masks.styles)

    def targets_of(
        self, styles: Sequence[np.ndarray], masks: Sequence[np.ndarray | None] = ()
    ) -> list:
        """What each term compares its sums with, from (H, W, 3) RGB in 0..255 of each style and
        the mask of what is taken of it; None for a term whose sums are the loss itself."""
        regions = [[] if mask is None else [mask] for mask in masks or [None] * len(styles)]
        return [
            term.target([self._sums_of(term, *style) for style in zip(styles, regions)])
            if hasattr(term, "loss")
            else None
            for term in self.terms
        ]

    def targets_of_each(self, styles) -> list:
        """What each term compares its sums with, for a style of its own of each of many pictures.

        It can be traced. For an objective of one style, and not for the Wasserstein loss, whose
        targets numpy works out.

        Args:
            styles: (n, H, W, 3) less the mean pixel, of any size.
        """
        size = tuple(styles.shape[1:3])
        [tile] = grid(*size, tile=0, halo=0)
        terms = [term for term in self.terms if hasattr(term, "loss")]
        network = self._once(
            "of styles", lambda: self._tapped({k for t in terms for k in t.layers})
        )
        view = self._view(network, styles, tile.shape, size)
        return [
            tree.map_structure(ops.stop_gradient, term.target([term.sums(view, term.take(view))]))
            if hasattr(term, "loss")
            else None
            for term in self.terms
        ]

    def compare(self, image, content, targets: Sequence):
        """The loss of each term of each of many pictures, each against a content of its own.

        For an objective without tiles only; it can be traced, and differentiated by `image`.

        Args:
            image, content: (n, H, W, 3) less the mean pixel, of the objective's size.
            targets: as from `targets_of`, for one picture or, n first, for each.

        Returns:
            (n, terms) float32, in the order of `terms`.
        """
        [tile] = self.tiles
        by_position = {k for t in self.terms if not hasattr(t, "loss") for k in t.layers}
        network = self._once("by position", lambda: self._tapped(by_position))
        taken = self._view(network, content, tile.shape)
        taken = [tree.map_structure(ops.stop_gradient, term.take(taken)) for term in self.terms]
        values = self._values(self._sums(image, taken, tile.shape), targets)
        # A term without layers is one 0 for all.
        each = ops.zeros_like(image[:, 0, 0, 0])
        return ops.stack([value + each for value in values], axis=1)

    def __call__(self, image):
        """(n, H, W, 3) less the mean pixel -> float32: the loss of each term, and their sum.

        For an objective without tiles only; it can be traced and differentiated.
        """
        [tile], [taken] = self.tiles, self.taken
        return self._losses(self._sums(self.composed(image), taken, tile.shape))

    def composed(self, image):
        """The picture that is judged, of the image's shape: where nothing is painted, the content's
        pixels stand in place of the image's."""
        if self._painted is None:
            return image
        change = ops.convert_to_tensor(image) - self._photograph
        return self._photograph + self._painted * change

    def begun(self, image: np.ndarray) -> np.ndarray:
        """An image to start from, with the content's pixels where nothing is painted at all."""
        if self._painted is None:
            return image
        kept = ops.where(self._painted > 0, image, self._photograph)
        return ops.convert_to_numpy(kept)

    def evaluate(self, image) -> Losses:
        """The losses of (n, H, W, 3) less the mean pixel, whole or by tiles."""
        if len(self.tiles) == 1:
            whole = self._once("whole", lambda: backend.uncompiled(self, self.network))
            return self._named(whole(ops.convert_to_tensor(image)))
        return self._named(self._losses(self._gather(self.composed(image))))

    def gradient(self, image) -> tuple[Losses, np.ndarray]:
        """The losses of an image and the gradient of their total, whole or by tiles.

        Args:
            image: (n, H, W, 3) float32 less the mean pixel, an array or a tensor.

        Returns:
            The losses and a float32 array of the image's shape.
        """
        if len(self.tiles) > 1:
            return self._gradient_by_tiles(image)

        def of_image(image):
            values = self(image)
            return values[-1], values

        run = self._once("gradient", lambda: backend.differentiated(of_image, self.network))
        values, gradient = run(ops.convert_to_tensor(image))
        return self._named(values), ops.convert_to_numpy(gradient)

    def _gradient_by_tiles(self, image):
        def of_sums(sums):
            values = self._losses(sums)
            return values[-1], values

        image = self.composed(image)
        run = self._once("sums", lambda: backend.differentiated(of_sums, self.network))
        values, slopes = run(self._gather(image))
        gradient = np.zeros(image.shape, np.float32)
        for i, (tile, taken) in enumerate(zip(self.tiles, self.taken), start=1):

            def of_tile(crop, taken, slopes, shape=tile.shape):
                sums = self._sums(crop, taken, shape)
                value = sum(
                    ops.sum(one) if target is None else _product(slope, one)
                    for one, slope, target in zip(sums, slopes, self.targets)
                )
                return value, value

            run = self._once(
                ("gradient", tile.shape),
                lambda f=of_tile: backend.differentiated(f, self.network),
            )
            _, part = run(ops.convert_to_tensor(tile.crop(image)), taken, slopes)
            view = tile.crop(gradient)
            view += ops.convert_to_numpy(part)
            # The second pass goes through the tiles forward and back, the first only forward.
            self._on_tile((1 + 2 * i / len(self.tiles)) / 3)
        if self._painted is not None:
            gradient *= ops.convert_to_numpy(self._painted)
        return self._named(values), gradient

    def _gather(self, image):
        """The first pass over the tiles: what each term adds up, of all of them."""
        total = None
        for i, (tile, taken) in enumerate(zip(self.tiles, self.taken), start=1):

            def of_tile(crop, taken, shape=tile.shape):
                return self._sums(crop, taken, shape)

            run = self._once(
                ("sums", tile.shape), lambda f=of_tile: backend.compiled(f, self.network)
            )
            sums = run(ops.convert_to_tensor(tile.crop(image)), taken)
            sums = tree.map_structure(lambda x: ops.convert_to_numpy(x).astype(np.float64), sums)
            total = sums if total is None else _added(total, sums)
            self._on_tile(i / len(self.tiles) / 3)
        return tree.map_structure(lambda x: ops.convert_to_tensor(x.astype(np.float32)), total)

    def _sums(self, crop, taken, shape: Shape):
        """What each term adds up over the positions that a tile owns."""
        view = self._view(self.network if self.strides else None, crop, shape)
        return [term.sums(view, mine) for term, mine in zip(self.terms, taken)]

    def _losses(self, sums):
        """The loss of each term, summed over the batch, and their sum: a float32 vector."""
        values = self._values(sums, self.targets)
        return ops.stack([ops.sum(x) for x in (*values, sum(values))])

    def _values(self, sums, targets):
        """The loss of each term, (n,) float32."""
        return [
            one if target is None else term.loss(one, target)
            for term, one, target in zip(self.terms, sums, targets)
        ]

    def _sums_of(self, term, style, regions):
        """What a term adds up of a style's picture, or of a region of it."""
        views = self._views(style, [term], regions)
        taken = ((view, tree.map_structure(_constant, term.take(view))) for view in views)
        return functools.reduce(_added, (term.sums(*one) for one in taken))

    def _views(self, picture, terms, regions=(), painted=None):
        """A picture with its masks as the terms see it, tile by tile."""
        image = vgg.preprocess(picture, self._mean_pixel)
        size, strides = image.shape[1:3], {1, *self.strides.values()}
        masks = dict(
            regions=[losses.position_weights(mask, size, strides, 2) for mask in regions],
            painted=None if painted is None else losses.position_weights(painted, size, strides),
        )
        network = self._tapped([layer for term in terms for layer in term.layers])
        for tile in self._cut(*size):
            yield self._view(network, tile.crop(image), tile.shape, size, tile.corner, **masks)

    def _tapped(self, layers) -> keras.Model | None:
        """The network down to these layers; None for none."""
        taps = {layer: self.network.output[layer] for layer in layers}
        return keras.Model(self.network.input, taps) if taps else None

    def _view(self, network, crop, shape: Shape, size=None, corner=(0, 0), **masks) -> losses.View:
        features = network(crop) if network is not None else {}
        bottom, right = shape.top + shape.own_height, shape.left + shape.own_width
        return losses.View(
            features={k: shape.own(f, self.strides[k]) for k, f in features.items()},
            pixels=crop[:, shape.top : bottom + shape.below, shape.left : right + shape.right],
            size=size or self.size,
            strides=self.strides,
            corner=corner,
            owned=(shape.own_height, shape.own_width),
            **masks,
        )

    def _named(self, values) -> Losses:
        *each, total = ops.convert_to_numpy(values).tolist()
        return Losses({term.name: value for term, value in zip(self.terms, each)}, total)

    def _once(self, key, make):
        """A compiled function, made once: tiles of one shape share theirs."""
        if key not in self._compiled:
            self._compiled[key] = make()
        return self._compiled[key]


def _constant(x):
    return ops.stop_gradient(ops.convert_to_tensor(x))


def _product(one, other):
    """The inner product of two nested structures of tensors."""
    products = tree.map_structure(lambda a, b: ops.sum(a * b), one, other)
    return sum(tree.flatten(products))


def _added(one, other):
    return tree.map_structure(operator.add, one, other)


def check_sizes(sizes: Sequence[tuple[int, int]], settings: Settings, parameters: vgg.Parameters):
    """Raise ValueError for a picture that is too small to give the deepest layer one unit.

    Args:
        sizes: width and height of the content, then of each style.
        settings, parameters: as for `Objective`.
    """
    least = max(2, parameters.stride(settings.layers()))
    first = "the content" if settings.content_weights() else "the picture"
    for i, (width, height) in enumerate(sizes):
        if min(width, height) < least:
            raise ValueError(
                f"{f'style {i}' if i else first} is {width}x{height} pixels; with this "
                f"network and these layers it must be at least {least}x{least}"
            )


ROUNDING = 1e-4
LEAST_POSITIONS = 4  # of the deepest layer that a region must cover: one has no statistics


def region_sides(
    masks: pictures.Masks | None, settings: Settings, parameters: vgg.Parameters
) -> list[int]:
    """How large each region is to the style's deepest layer: the side in pixels of a square as
    large, over the root of `LEAST_POSITIONS`. It must be the layer's stride, as a picture's must.

    Args:
        masks: of the sizes of the content and of the styles as they are worked on.
        settings, parameters: as for `Objective`.

    Raises ValueError for a region that is too small, with the least size.
    """
    layers = list(settings.style_weights())
    if masks is None or not layers:
        return []
    named = [("mask", i, mask) for i, mask in enumerate(masks.regions)]
    named += [("style mask", i, mask) for i, mask in enumerate(masks.styles)]
    if not named:
        return []
    sides, shares = [], settings.layer_shares(max(len(masks.regions), len(masks.styles)))
    for name, i, mask in named:
        own = [layer for layer in layers if shares[layer][i]]
        if mask is None or not own:
            continue
        area, stride = mask.sum(dtype=np.float64), parameters.stride(own)
        if area < LEAST_POSITIONS * stride**2 * (1 - ROUNDING):
            deepest = max(own, key=lambda layer: parameters.stride([layer]))
            least = math.isqrt(LEAST_POSITIONS) * stride
            raise ValueError(
                f"{name} {i + 1} is too small a region for {deepest} to have statistics there: it "
                f"is white on {area:.0f} pixels, and must be on at least {least}x{least}"
            )
        sides.append(math.floor(math.sqrt(area / LEAST_POSITIONS) + ROUNDING))
    return sides
