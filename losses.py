"""What a picture is judged by: the terms of the objective, all in float32.

With F the activations of a layer as a matrix of M positions by N channels (Gatys, Ecker, Bethge,
"A Neural Algorithm of Artistic Style", arXiv 1508.06576, section Methods). Each term is a sum over
positions (content, total variation), or a scalar of statistics that are sums over positions (Gram
matrices). So what it adds up over the tiles of a picture is what it adds up over the whole.

Functions of one layer come first, then the terms, which are made of them. A new term is one more
class with the members of `Term`, and a place in `terms`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from keras import ops

from .settings import Settings

# The factors by which published recipes normalise a layer's sum of squares.
CONTENT = {
    "mean": lambda positions, channels: 1 / (positions * channels),
    "half-mean": lambda positions, channels: 1 / (2 * positions * channels),
    "half-sum": lambda positions, channels: 1 / 2,
}
STYLE = {
    "mean": lambda channels: 1 / channels**2,
    "quarter-sum": lambda channels: 1 / 4,
}


def content_loss(features, target, kind: str = "mean", positions: int | None = None, weights=None):
    """How far a layer's activations are from the content's: Σ(F - P)², equation 1, normalised.

    Args:
        features: F, (n, H, W, N) of any float dtype.
        target: P, of the same shape.
        kind: the normalisation, a key of `CONTENT`; the paper's is `half-sum`.
        positions: of the whole picture in this layer; H·W if not given.
        weights: of the positions, (1, H, W, 1) float32 with a mean of 1 over the whole picture.

    Returns:
        (n,) float32, one loss per picture.
    """
    _, height, width, channels = features.shape
    factor = CONTENT[kind](positions or height * width, channels)
    squares = ops.square(_float32(features) - _float32(target))
    squares = squares if weights is None else squares * weights
    return factor * ops.sum(squares, axis=(1, 2, 3))


def gram_matrix(features, positions: int | None = None, weights=None):
    """Which channels fire together, wherever in the picture: G = FᵀF / MN, after equation 3.

    The paper's Gram matrix is the sum FᵀF; divided by the number of activations, it does not
    depend on the size of the picture.

    Args:
        features: F, (n, H, W, N) of any float dtype.
        positions: M of the whole picture in this layer; H·W if not given.
        weights: of the positions, (1, H, W, 1) float32 with a mean of 1 over the whole picture.

    Returns:
        (n, N, N) float32, symmetric.
    """
    pictures, height, width, channels = features.shape
    # Of one picture, a plain product of matrices.
    shape, axes = ((), (1, 0)) if pictures == 1 else ((-1,), (0, 2, 1))
    flat = ops.reshape(_float32(features), (*shape, height * width, channels))
    other = flat if weights is None else flat * ops.reshape(weights, (height * width, 1))
    gram = ops.matmul(ops.transpose(flat, axes), other)
    # As a float, since JAX takes whole numbers for 32 bits wide: here and below.
    gram = gram / float((positions or height * width) * channels)
    return ops.reshape(gram, (-1, channels, channels))


def style_loss(gram, target, kind: str = "mean"):
    """How far a layer's Gram matrix is from the style's: Σ(G - A)², equation 4, normalised.

    With `quarter-sum` and pictures of one size, this is the paper's Σ(G' - A')² / 4N²M² of its
    own Gram matrices G' = MN·G.

    Args:
        gram, target: G and A, (n, N, N) float32; or (N, N), or (1, N, N) for one target of all.
        kind: the normalisation, a key of `STYLE`.

    Returns:
        (n,) float32, one loss per picture; a scalar for (N, N).
    """
    return STYLE[kind](gram.shape[-1]) * ops.sum(ops.square(gram - target), axis=(-2, -1))


def total_variation(image, across=None, size=None, weights=None):
    """How rough a picture is: the mean of the squared differences of vertical neighbours plus
    that of horizontal ones (after Mahendran and Vedaldi, arXiv 1412.0035, section 3.2).

    Args:
        image: (n, H, W, 3), H and W at least 2; or of a part of a picture, its rows and the one
            below it.
        across: the part's columns and the one to its right; `image` if not given.
        size: height and width of the whole picture; H and W if not given.
        weights: of the part's pixels, each of which stands for the differences to the one below
            and to the one to the right, (1, H, W, 1) float32.

    Returns:
        (n,) float32, one loss per picture.
    """
    across = image if across is None else across
    height, width = size or image.shape[1:3]
    image, across, channels = _float32(image), _float32(across), image.shape[3]
    down = ops.square(image[:, 1:] - image[:, :-1])
    right = ops.square(across[:, :, 1:] - across[:, :, :-1])
    if weights is not None:
        down = down * weights[:, : down.shape[1]]
        right = right * weights[:, :, : right.shape[2]]
    vertical, horizontal = (ops.sum(x, axis=(1, 2, 3)) for x in (down, right))
    rows, columns = (float(n * channels) for n in ((height - 1) * width, height * (width - 1)))
    return vertical / rows + horizontal / columns


@dataclass(frozen=True)
class View:
    """What a term sees of a batch of pictures: the whole of them, or what one tile owns."""

    features: Mapping[str, Any]  # layer -> (n, h, w, N) activations, of any float dtype
    rows: Any  # (n, h, w, 3) pixels less the mean pixel, with the row below where there is one
    columns: Any  # likewise, with the column to the right
    size: tuple[int, int]  # height and width of the whole pictures in pixels
    strides: Mapping[str, int]  # layer -> pixels between its positions, per axis
    corner: tuple[int, int]  # row and column of the first pixel that is owned
    owned: tuple[int, int]  # height and width of what is owned, in pixels

    def positions(self, layer: str) -> int:
        """How many positions a layer has in the whole of a picture."""
        return math.prod(self._layer_size(self.strides[layer]))

    def weights(self, mask: np.ndarray, layer: str | None = None) -> np.ndarray:
        """A mask as weights of the positions of a layer, or of the pixels: with a mean of 1 over
        the whole picture, and of that what the view owns.

        Args:
            mask: (H, W) of the pictures' size, at least 0 everywhere and above 0 somewhere.
            layer: the layer; None for the pixels themselves.

        Returns:
            (1, h, w, 1) float32.
        """
        stride = self.strides[layer] if layer else 1
        whole = np.asarray(mask, np.float32)[np.newaxis, ..., np.newaxis]
        if stride > 1:
            size = self._layer_size(stride)
            whole = ops.image.resize(whole, size, interpolation="bilinear", antialias=True)
            whole = ops.convert_to_numpy(whole)
        rows, columns = (
            slice(begin // stride, -(-(begin + length) // stride))
            for begin, length in zip(self.corner, self.owned)
        )
        return whole[:, rows, columns] / whole.mean()

    def _layer_size(self, stride: int) -> tuple[int, int]:
        return tuple(-(-side // stride) for side in self.size)


class Term(Protocol):
    """What is written for each term; the objective does the rest for all alike: whole pictures
    and tiles, one picture and a batch, the gradient. See `Content` and `Gram` for the two kinds."""

    name: str  # what its loss is called
    layers: Mapping[str, float]  # of the network, that it looks at, with their weights

    def take(self, view: View) -> Any:
        """What it compares the picture with position by position: tensors in a nested structure,
        taken once from the content's picture (a view of each tile)."""

    def sums(self, view: View, taken: Any) -> Any:
        """What it adds up over positions: tensors in a nested structure, n first. `taken` is
        what `take` gave for the same tile; None for a style's picture."""

    # Only where the sums are statistics and not yet the weighted loss, (n,) float32:

    def target(self, styles: Sequence[Any]) -> Any:
        """What it compares the sums with, from the sums of each style's picture."""

    def loss(self, sums: Any, target: Any) -> Any:
        """The weighted loss, (n,) float32."""


@dataclass(frozen=True)
class Content:
    """The content's activations, position by position: equation 1 of arXiv 1508.06576."""

    weight: float
    layers: Mapping[str, float]
    kind: str  # a key of CONTENT
    mask: np.ndarray | None = None  # (H, W), the weight of each position

    name = "content"

    def take(self, view: View):
        return {layer: view.features[layer] for layer in self.layers}, _weights(self, view)

    def sums(self, view: View, taken):
        targets, weights = taken
        total = sum(
            weight
            * content_loss(
                view.features[layer],
                targets[layer],
                self.kind,
                view.positions(layer),
                weights.get(layer),
            )
            for layer, weight in self.layers.items()
        )
        return ops.cast(self.weight * total, "float32")


@dataclass(frozen=True)
class Gram:
    """The Gram matrices of each style, equations 3 to 5 of arXiv 1508.06576; the losses to
    several styles are averaged by their shares."""

    weight: float
    layers: Mapping[str, float]
    kind: str  # a key of STYLE
    scale: float  # of the activations
    shares: Sequence[float]  # of each style
    mask: np.ndarray | None = None

    name = "style"

    def take(self, view: View):
        return _weights(self, view)

    def sums(self, view: View, taken):
        return {
            layer: self.scale**2
            * gram_matrix(view.features[layer], view.positions(layer), (taken or {}).get(layer))
            for layer in self.layers
        }

    def target(self, styles):
        return list(styles)

    def loss(self, sums, target):
        total = ops.zeros(())
        for layer, weight in self.layers.items():
            for share, style in zip(self.shares, target):
                total = total + share * weight * style_loss(sums[layer], style[layer], self.kind)
        return self.weight * total


@dataclass(frozen=True)
class TotalVariation:
    """The roughness of the picture itself."""

    weight: float
    mask: np.ndarray | None = None

    name, layers = "tv", {}

    def take(self, view: View):
        return {} if self.mask is None else {"pixels": view.weights(self.mask)}

    def sums(self, view: View, taken):
        weights = taken.get("pixels")
        return self.weight * total_variation(view.rows, view.columns, view.size, weights)


def terms(
    settings: Settings, styles: int, masks: Mapping[str, np.ndarray] | None = None
) -> list[Term]:
    """The terms that the settings ask for.

    Args:
        settings: the weights, the layers and the normalisations.
        styles: how many styles there are.
        masks: name of a term -> (H, W), the weight of each position in it.

    Raises ValueError for a number of weights that is not the number of styles.
    """
    masks, scale = masks or {}, settings.activation_scale
    content = Content(
        settings.content_weight * scale**2,
        settings.content_weights(),
        settings.content_loss,
        masks.get("content"),
    )
    style = Gram(
        settings.style_weight,
        settings.style_weights(),
        settings.style_loss,
        scale,
        settings.style_shares(styles),
        masks.get("style"),
    )
    return [content, style, TotalVariation(settings.tv_weight, masks.get("tv"))]


def _weights(term: Term, view: View) -> dict:
    """The weights of the positions in each of a term's layers; empty without a mask."""
    if term.mask is None:
        return {}
    return {layer: view.weights(term.mask, layer) for layer in term.layers}


def _float32(tensor):
    return ops.cast(tensor, "float32")
