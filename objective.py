"""What is minimised, as a function of the image alone: whole, or tile by tile and just the same.

Each term adds something up over positions: a loss, or statistics of which the loss is a function
(see `losses.Term`). So a first pass over the tiles gives the sums s; then the total loss L(s) and
D = dL/ds are known, and a second pass back-propagates Σ D·s(tile) through each tile (D is 1 where s
is a loss itself). Each tile sees a halo as wide as the receptive field, and only what it owns is
counted: the sum of the tiles' gradients is the gradient, to rounding. Nothing here is an
approximation.
"""

from __future__ import annotations

import collections
import functools
import hashlib
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import keras
import numpy as np
from keras import ops, tree

from . import backend, losses, pictures, vgg
from .settings import Settings
from .tiles import Shape, Tile, check_tiles, grid

# Objectives that are kept for the next picture: a run from coarse to fine has up to ten, and a
# folder of photographs two or three shapes.
MOST_KEPT = 24


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


class Statistics:
    """What the terms add up over a tile, and the network that they look through: all of the work
    that grows with the picture, of pictures of one size."""

    def __init__(
        self,
        size: tuple[int, int],
        styles: int,
        settings: Settings,
        parameters: vgg.Parameters,
        tile: int = 0,
        has_regions: bool = False,
        more: Sequence[losses.Term] = (),
    ):
        """Build the network down to the deepest layer in use.

        Args:
            size: height and width of the pictures.
            styles: how many there are.
            settings, parameters, tile: as for `Objective`.
            has_regions: whether each style is judged over a region of its own.
            more: as for `Objective`.

        Raises ValueError for a layer that the network lacks or that cannot be tiled, or a number
        of weights that is not the number of styles.
        """
        self.size = size
        self.terms = [*losses.terms(settings, styles, has_regions, math.prod(size)), *more]
        names = list(dict.fromkeys(layer for term in self.terms for layer in term.layers))
        self.precision = backend.arithmetic(settings.precision, settings.device)
        self.network = vgg.build(
            parameters, names, settings.pooling, self.precision, settings.padding
        )
        self.strides = {name: parameters.stride([name]) for name in names}
        self.mean_pixel = parameters.mean_pixel
        stride = parameters.stride(names)
        if tile:
            check_tiles(parameters, names)
        tile = -(-tile // stride) * stride
        # One pixel at least, for the differences of neighbours.
        halo = -(-max(1, parameters.reach(names)) // stride) * stride if tile else 0
        self.cut = functools.partial(grid, tile=tile, halo=halo)
        self._kept = {}

    def once(self, key, make):
        """What is made once, as a compiled function: for tiles of one shape, say."""
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]

    def sums(self, crop, taken, shape: Shape):
        """What each term adds up over the positions that a tile owns."""
        view = self.view(self.network if self.strides else None, crop, shape)
        return [term.sums(view, mine) for term, mine in zip(self.terms, taken)]

    def take(self, block: Block, terms: Sequence[losses.Term] | None = None) -> list:
        """What each term, of the same kinds as its own, compares each tile of a block with."""
        terms = self.terms if terms is None else terms
        by_position = [term for term in terms if not hasattr(term, "loss")]
        views = self.views(
            vgg.preprocess(block.content, self.mean_pixel),
            block.tiles,
            by_position,
            self.size,
            regions=block.regions,
            painted=block.painted,
        )
        return [tree.map_structure(_constant, [t.take(view) for t in terms]) for view in views]

    def of_style(self, term, style, mask: np.ndarray | None):
        """What a term adds up of a style's picture, or of a region of it."""
        image = vgg.preprocess(style, self.mean_pixel)
        size = image.shape[1:3]
        regions = [] if mask is None else [self.weights(mask, size)]
        views = self.views(image, self.cut(*size), [term], size, regions=regions)
        taken = ((view, tree.map_structure(_constant, term.take(view))) for view in views)
        return functools.reduce(_added, (term.sums(*one) for one in taken))

    def weights(self, mask: np.ndarray, size: tuple[int, int], power: int = 2) -> dict:
        """A mask as the weights of the positions of each layer, see `losses.position_weights`."""
        return losses.position_weights(mask, size, {1, *self.strides.values()}, power)

    def views(self, image, tiles: Sequence[Tile], terms, size, **masks):
        """An image less the mean pixel as the terms see it, tile by tile; masks by `weights`."""
        layers = tuple(layer for term in terms for layer in term.layers)
        network = self.once(("of views", layers), lambda: self._compiled(layers))
        for tile in tiles:
            yield self.view(network, tile.crop(image), tile.shape, size, tile.corner, **masks)

    def tapped(self, layers) -> keras.Model | None:
        """The network down to these layers; None for none."""
        taps = {layer: self.network.output[layer] for layer in layers}
        return keras.Model(self.network.input, taps) if taps else None

    def _compiled(self, layers):
        """As `tapped`, and compiled: in TensorFlow single operations take three times as long."""
        network = self.tapped(layers)
        if network is None:
            return None
        return backend.compiled(lambda crop: network(crop), network)

    def view(self, network, crop, shape: Shape, size=None, corner=(0, 0), **masks) -> losses.View:
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


@dataclass(frozen=True)
class Block:
    """A rectangle of a picture, or all of it, with what its tiles are compared with."""

    tiles: Sequence[Tile]  # in the block's own rows and columns
    content: np.ndarray  # (h, w, 3) RGB in 0..255; or a batch (n, h, w, 3)
    regions: Sequence[Mapping[int, np.ndarray]] = ()  # of the block, as `losses.View` has them
    painted: Mapping[int, np.ndarray] | None = None


class TileWork:
    """Both passes over the tiles of a block, on this machine."""

    def __init__(
        self,
        statistics: Statistics,
        block: Block,
        on_tile: Callable[[float], None] = lambda share: None,
        terms: Sequence[losses.Term] | None = None,
    ):
        """
        Args:
            statistics, block: of the picture's size.
            on_tile: as for `Objective`.
            terms: in place of the statistics' own, of the same kinds.
        """
        self.statistics, self.tiles, self.on_tile = statistics, block.tiles, on_tile
        self.taken = statistics.take(block, terms)

    def sums(self, image):
        """The first pass: what each term adds up over all tiles of the block.

        Args:
            image: (n, h, w, 3) less the mean pixel, of the block.

        Returns:
            Nested float32 arrays, a structure of its own for each term; added up in float64.
        """
        total = None
        for i, (tile, taken) in enumerate(zip(self.tiles, self.taken), start=1):

            def of_tile(crop, taken, shape=tile.shape):
                return self.statistics.sums(crop, taken, shape)

            run = self.statistics.once(
                ("sums", tile.shape),
                lambda f=of_tile: backend.compiled(f, self.statistics.network),
            )
            sums = run(ops.convert_to_tensor(tile.crop(image)), taken)
            sums = tree.map_structure(lambda x: ops.convert_to_numpy(x).astype(np.float64), sums)
            total = sums if total is None else _added(total, sums)
            self.on_tile(i / len(self.tiles) / 3)
        return tree.map_structure(lambda x: x.astype(np.float32), total)

    def gradient(self, image, slopes) -> np.ndarray:
        """The second pass: the gradient, of the image's shape, of the sum of `slopes` times the
        terms' sums; of a term whose sums are its loss, of that.

        Args:
            image: as for `sums`.
            slopes: of the structure of the sums.
        """
        gradient = np.zeros(image.shape, np.float32)
        slopes = tree.map_structure(ops.convert_to_tensor, slopes)
        for i, (tile, taken) in enumerate(zip(self.tiles, self.taken), start=1):

            def of_tile(crop, taken, slopes, shape=tile.shape):
                sums = self.statistics.sums(crop, taken, shape)
                value = sum(
                    _product(slope, one) if hasattr(term, "loss") else ops.sum(one)
                    for term, one, slope in zip(self.statistics.terms, sums, slopes)
                )
                return value, value

            run = self.statistics.once(
                ("gradient", tile.shape),
                lambda f=of_tile: backend.differentiated(f, self.statistics.network),
            )
            _, part = run(ops.convert_to_tensor(tile.crop(image)), taken, slopes)
            view = tile.crop(gradient)
            view += ops.convert_to_numpy(part)
            # The second pass goes through the tiles forward and back, the first only forward.
            self.on_tile((1 + 2 * i / len(self.tiles)) / 3)
        return gradient


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
        *,
        more: Sequence[losses.Term] = (),
        targets: Sequence | None = None,
        like: Objective | None = None,
        spread: Callable | None = None,
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
            more: terms besides those of the settings, each of which is a sum over positions.
            targets: as from `targets_of`, where they are known; of the styles, only how many there
                are is asked then.
            like: an objective of all the same but the content, which is of the same size, and what
                the terms `more` compare with: its network, its targets and what it has compiled are
                taken over.
            spread: who does the work of the tiles, if not this process; it is given what
                `Statistics` is, a `Block` of the whole picture, and `on_tile`, and does what a
                `TileWork` does.

        Raises:
            ValueError: for a picture too small for the deepest layer, a layer that the network
                lacks or that cannot be tiled, or a number of weights that is not the number of
                styles.
        """
        masks = masks or pictures.Masks()
        self.size = content.shape[-3:-1]
        given = (self.size, len(styles), settings, parameters, tile, bool(masks.regions), more)
        if like is None:
            check_sizes([p.shape[-2:-4:-1] for p in (content, *styles)], settings, parameters)
        self.statistics = like.statistics if like else Statistics(*given)
        own = len(self.statistics.terms) - len(more)
        self.terms, self.network = [*self.statistics.terms[:own], *more], self.statistics.network
        self.tiles = self.statistics.cut(*self.size)
        self._painted = self._photograph = None
        if masks.painted is not None:
            mask = pictures.resize_mask(masks.painted, *self.size[::-1])
            self._painted = ops.convert_to_tensor(mask[..., np.newaxis])
            photograph = vgg.preprocess(content, self.statistics.mean_pixel)
            self._photograph = ops.convert_to_tensor(photograph, "float32")
        block = self._block(content, masks)
        if spread and len(self.tiles) > 1:
            self.work = spread(given, block, on_tile)
        else:
            self.work = TileWork(self.statistics, block, on_tile, self.terms)
        # What each term compares the sums with.
        if targets is None:
            targets = like.targets if like else self.targets_of(styles, masks.styles)
        self.targets = targets

    def _block(self, content, masks: pictures.Masks) -> Block:
        """The whole of the picture."""
        regions = [self.statistics.weights(mask, self.size) for mask in masks.regions]
        painted = masks.painted
        if painted is not None:
            painted = self.statistics.weights(painted, self.size, power=1)
        return Block(self.tiles, content, regions, painted)

    def targets_of(
        self, styles: Sequence[np.ndarray], masks: Sequence[np.ndarray | None] = ()
    ) -> list:
        """What each term compares its sums with, from (H, W, 3) RGB in 0..255 of each style and
        the mask of what is taken of it; None for a term whose sums are the loss itself."""
        masks = masks or [None] * len(styles)
        return [
            term.target([self.statistics.of_style(term, *style) for style in zip(styles, masks)])
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
        layers = {k for term in terms for k in term.layers}
        network = self.statistics.once("of styles", lambda: self.statistics.tapped(layers))
        view = self.statistics.view(network, styles, tile.shape, size)
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
        [tile], statistics = self.tiles, self.statistics
        by_position = {k for t in self.terms if not hasattr(t, "loss") for k in t.layers}
        network = statistics.once("by position", lambda: statistics.tapped(by_position))
        taken = statistics.view(network, content, tile.shape)
        taken = [tree.map_structure(ops.stop_gradient, term.take(taken)) for term in self.terms]
        values = self._values(statistics.sums(image, taken, tile.shape), targets)
        # A term without layers is one 0 for all.
        each = ops.zeros_like(image[:, 0, 0, 0])
        return ops.stack([value + each for value in values], axis=1)

    @property
    def given(self) -> tuple:
        """All that is of these pictures alone: what a compiled function is given, lest it be made
        anew for the next ones."""
        [taken] = self.work.taken
        return taken, self._photograph, self.targets

    def __call__(self, image, taken=None, photograph=None, targets=None):
        """(n, H, W, 3) less the mean pixel -> float32: the loss of each term, and their sum.

        For an objective without tiles only; it can be traced and differentiated. What is `given`
        may be passed on to it; it is this objective's own if it is not.
        """
        if taken is None:
            taken, photograph, targets = self.given
        [tile] = self.tiles
        image = self._composed(image, photograph)
        return self._losses(self.statistics.sums(image, taken, tile.shape), targets)

    def composed(self, image):
        """The picture that is judged, of the image's shape: where nothing is painted, the content's
        pixels stand in place of the image's."""
        return self._composed(image, self._photograph)

    def _composed(self, image, photograph):
        if photograph is None:
            return image
        change = ops.convert_to_tensor(image) - photograph
        return photograph + self._painted * change

    def begun(self, image: np.ndarray) -> np.ndarray:
        """An image to start from, with the content's pixels where nothing is painted at all."""
        if self._painted is None:
            return image
        kept = ops.where(self._painted > 0, image, self._photograph)
        return ops.convert_to_numpy(kept)

    def evaluate(self, image) -> Losses:
        """The losses of (n, H, W, 3) less the mean pixel, whole or by tiles."""
        if len(self.tiles) == 1:
            whole = self.statistics.once("whole", lambda: backend.uncompiled(self, self.network))
            return self._named(whole(ops.convert_to_tensor(image), *self.given))
        sums = tree.map_structure(ops.convert_to_tensor, self.work.sums(self.composed(image)))
        return self._named(self._losses(sums, self.targets))

    def gradient(self, image) -> tuple[Losses, np.ndarray]:
        """The losses of an image and the gradient of their total, whole or by tiles.

        Args:
            image: (n, H, W, 3) float32 less the mean pixel, an array or a tensor.

        Returns:
            The losses and a float32 array of the image's shape.
        """
        if len(self.tiles) > 1:
            return self._gradient_by_tiles(image)

        def of_image(image, *given):
            values = self(image, *given)
            return values[-1], values

        run = self.statistics.once(
            "gradient", lambda: backend.differentiated(of_image, self.network)
        )
        values, gradient = run(ops.convert_to_tensor(image), *self.given)
        return self._named(values), ops.convert_to_numpy(gradient)

    def _gradient_by_tiles(self, image):
        def of_sums(sums, targets):
            values = self._losses(sums, targets)
            return values[-1], values

        image = self.composed(image)
        run = self.statistics.once("sums", lambda: backend.differentiated(of_sums, self.network))
        sums = tree.map_structure(ops.convert_to_tensor, self.work.sums(image))
        values, slopes = run(sums, self.targets)
        gradient = self.work.gradient(image, slopes)
        if self._painted is not None:
            gradient *= ops.convert_to_numpy(self._painted)
        return self._named(values), gradient

    def _losses(self, sums, targets):
        """The loss of each term, summed over the batch, and their sum: a float32 vector."""
        values = self._values(sums, targets)
        return ops.stack([ops.sum(x) for x in (*values, sum(values))])

    def _values(self, sums, targets):
        """The loss of each term, (n,) float32."""
        return [
            one if target is None else term.loss(one, target)
            for term, one, target in zip(self.terms, sums, targets)
        ]

    def _named(self, values) -> Losses:
        *each, total = ops.convert_to_numpy(values).tolist()
        return Losses({term.name: value for term, value in zip(self.terms, each)}, total)


class Objectives:
    """Makes objectives, as `Objective` does, of many pictures one after another: those of one size
    share their network, the styles' statistics and all that is compiled.

    Two that share are not to be minimised at once.
    """

    def __init__(self, most: int = MOST_KEPT):
        self._first, self._most = collections.OrderedDict(), most

    def __call__(self, content, styles, settings, parameters, tile=0, masks=None, *rest, **named):
        masks = masks or pictures.Masks()
        arrays = (*styles, *masks.regions, *masks.styles, masks.painted)
        # The parameters are held with what is made of them, lest their id become another's.
        key = (content.shape, settings, tile, id(parameters), *map(_digest, arrays))
        _, like = self._first.pop(key, (None, None))
        given = (content, styles, settings, parameters, tile, masks, *rest)
        made = Objective(*given, like=like, **named)
        self._first[key] = parameters, like or made
        if len(self._first) > self._most:
            self._first.popitem(last=False)
        return made


def _digest(array: np.ndarray | None) -> str | None:
    if array is None:
        return None
    return f"{array.shape} {hashlib.sha256(np.ascontiguousarray(array)).hexdigest()}"


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
