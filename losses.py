"""What a picture is judged by: the terms of the objective, all in float32.

With F the activations of a layer as a matrix of M positions by N channels (Gatys, Ecker, Bethge,
"A Neural Algorithm of Artistic Style", arXiv 1508.06576, section Methods). Each term is a sum over
positions (content, total variation), or a scalar of statistics that are sums over positions (Gram
matrices, means). So what it adds up over the tiles of a picture is what it adds up over the whole.

Functions of one layer come first, then the terms, which are made of them. A new term is one more
class with the members of `Term`, and a place in `terms`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from keras import ops

from . import pictures
from .settings import USUAL_PIXELS, Settings

# The factors by which published recipes normalise a layer's sum of squares.
CONTENT = {
    "mean": lambda positions, channels: 1 / (positions * channels),
    "half-mean": lambda positions, channels: 1 / (2 * positions * channels),
    "half-sum": lambda positions, channels: 1 / 2,
    "sum": lambda positions, channels: 1.0,
}
GRAM = {  # what a Gram matrix is divided by
    "activations": lambda positions, channels, pixels: positions * channels,
    "positions": lambda positions, channels, pixels: positions,
    "pixels": lambda positions, channels, pixels: 3 * pixels,
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


def gram_matrix(
    features, positions: int | None = None, weights=None, divisor="activations", pixels=None
):
    """Which channels fire together, wherever in the picture: G = FᵀF / MN, after equation 3.

    The paper's Gram matrix is the sum FᵀF; divided by the number of activations, of positions or
    of pixels, it does not depend on the size of the picture.

    Args:
        features: F, (n, H, W, N) of any float dtype.
        positions: M of the whole picture in this layer; H·W if not given.
        weights: of the positions, (1, H, W, 1) float32 with a mean of 1 over the whole picture.
        divisor: what it is divided by, a key of `GRAM`.
        pixels: of the whole picture, which `pixels` asks for.

    Returns:
        (n, N, N) float32, symmetric.
    """
    positions = positions or math.prod(features.shape[1:3])
    # A float, since JAX's integers have 32 bits.
    divided = float(GRAM[divisor](positions, features.shape[3], pixels))
    return _products(features, weights) / divided


def _products(features, weights=None):
    """FᵀF over all positions, each by its weight: (n, H, W, N) -> (n, N, N) float32.

    Its gradient with respect to F is F (D + Dᵀ), by one product of matrices, in the precision of
    the features, in which the network takes it on; left to the engine it would be two in float32,
    a fifth of a step's work.
    """
    pictures, height, width, channels = features.shape
    # Of one picture, a plain product of matrices.
    shape, axes = ((), (1, 0)) if pictures == 1 else ((-1,), (0, 2, 1))
    shape = (*shape, height * width, channels)
    if weights is not None:
        weights = ops.reshape(weights, (height * width, 1))

    @ops.custom_gradient
    def products(features):
        flat = ops.reshape(_float32(features), shape)
        other = flat if weights is None else flat * weights
        found = ops.matmul(ops.transpose(flat, axes), other)

        def gradient(*arguments, upstream=None):  # which TensorFlow and JAX give as the argument
            [slope] = arguments if upstream is None else [upstream]
            both = ops.cast(slope + ops.transpose(slope, axes), features.dtype)
            found = ops.matmul(ops.reshape(features, shape), both)
            if weights is not None:
                found = found * ops.cast(weights, found.dtype)
            return ops.reshape(found, (-1, height, width, channels))

        return found, gradient

    return ops.reshape(products(features), (-1, channels, channels))


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


def total_variation(
    image, across=None, size=None, weights=None, kind="mean", exponent=2.0, both=None
):
    """How rough a picture is, by the differences d of vertical neighbours and e of horizontal ones.

    After Mahendran and Vedaldi, arXiv 1412.0035, section 3.2, whose family is Σ (d² + e²)^(β/2);
    the total variation proper has β = 1. The default is β = 2, the squared differences.

    Args:
        image: (n, H, W, 3), H and W at least 2; or of a part of a picture, its rows and the one
            below it.
        across: the part's columns and the one to its right; `image` if not given.
        size: height and width of the whole picture; H and W if not given.
        weights: of the part's pixels, each of which stands for the differences to the one below
            and to the one to the right, (1, H, W, 1) float32.
        kind: `mean`, the mean of |d|^β plus that of |e|^β; `sum`, their sums; `isotropic-sum`,
            the paper's, over the pixels that have both neighbours; `nine-point`, two thirds of
            those means and a sixth of those of the differences along both diagonals.
        exponent: β, at least 1.
        both: the part's rows and columns, the row below and the column to the right; `image` if
            not given. Only `nine-point` needs it.

    Returns:
        (n,) float32, one loss per picture.
    """
    across = image if across is None else across
    height, width = size or image.shape[1:3]
    image, across, channels = _float32(image), _float32(across), image.shape[3]
    down, right = (ops.square(_differences(*one)) for one in ((image, 1), (across, 2)))
    if kind == "isotropic-sum":
        both = down[:, :, : right.shape[2]] + right[:, : down.shape[1]]
        return _weighted_sum(_power(both, exponent / 2), weights)
    vertical, horizontal = (
        _weighted_sum(_power(squares, exponent / 2), weights) for squares in (down, right)
    )
    if kind == "sum":
        return vertical + horizontal
    rows, columns = (float(n * channels) for n in ((height - 1) * width, height * (width - 1)))
    means = vertical / rows + horizontal / columns
    if kind == "mean":
        return means
    both = image if both is None else _float32(both)
    falling = ops.square(both[:, 1:, 1:] - both[:, :-1, :-1])
    rising = ops.square(both[:, :-1, 1:] - both[:, 1:, :-1])
    diagonals = sum(_weighted_sum(_power(x, exponent / 2), weights) for x in (falling, rising))
    return 2 / 3 * means + 1 / 6 * diagonals / float((height - 1) * (width - 1) * channels)


def _differences(image, axis: int):
    """From each row (axis 1) or column (axis 2) to the next, with a gradient of two paddings: that
    of a slice takes TensorFlow many times as long."""
    none = ((0, 0),)
    before, after = (none * axis + (one,) + none * (3 - axis) for one in ((1, 0), (0, 1)))
    first, second = ((slice(None),) * axis + (one,) for one in (slice(-1), slice(1, None)))

    @ops.custom_gradient
    def differences(image):
        def gradient(*arguments, upstream=None):
            [slope] = arguments if upstream is None else [upstream]
            return ops.pad(slope, before) - ops.pad(slope, after)

        return image[second] - image[first], gradient

    return differences(image)


EPSILON = 1e-4  # added to the variances, lest a covariance be singular
# Directions that hold less than this share of the style's variance are left out: they change the
# gradient by 1e-4 at most, and a small picture's style has few others.
NEGLIGIBLE = 1e-8
# How large an eigenvalue float32's rounding makes of a zero, as a share of the second moments.
ROUNDING = 1e-8
TINY = 1e-30  # of which the reciprocal of the square root is a float32


class Gaussian(NamedTuple):
    """A style's mean, and its covariance Σ' = A Aᵀ in units of its total variance tr Σ'.

    A's columns are the eigenvectors of Σ', the largest first, each as long as the root of its
    eigenvalue. So the rounding errors of Aᵀ Σ A are as graded as its entries, and float32 gets the
    small eigenvalues right that it would drown in noise if A were the symmetric root.
    """

    mean: Any  # (N,) float32
    root: Any  # A, (N, R) float32
    variances: Any  # the squared lengths of A's columns, (R,) float32
    total: Any  # tr Σ', float32


def gaussian(mean: np.ndarray, moment: np.ndarray) -> Gaussian:
    """What `wasserstein_loss` needs of a style, computed once and in float64.

    Args:
        mean: μ', (N,).
        moment: the mean of F'ᵀF' over positions, (N, N), for Σ' = moment - μ' μ'ᵀ + ε I.
    """
    mean, moment = np.asarray(mean, np.float64), np.asarray(moment, np.float64)
    covariance = moment - np.outer(mean, mean)
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    # A covariance has no negative eigenvalues but by rounding.
    values, vectors = np.maximum(values[::-1], 0) + EPSILON, vectors[:, ::-1]
    total = values.sum()
    left_out = np.cumsum(values[::-1])[::-1] <= NEGLIGIBLE * total
    variances = values[~left_out] / total
    root = vectors[:, ~left_out] * np.sqrt(variances)
    arrays = (np.asarray(x, np.float32) for x in (mean, root, variances, total))
    return Gaussian(*map(ops.convert_to_tensor, arrays))


def wasserstein_loss(mean, moment, target: Gaussian):
    """How far the activations of a layer, as a Gaussian, are from the style's: W₂² / N, which is

        mean((μ - μ')²) + tr(Σ + Σ' - 2 (Σ'^½ Σ Σ'^½)^½) / N

    of two Gaussians (Dowson and Landau, 1982; Olkin and Pukelsheim, 1982). With Σ' = A Aᵀ, the
    trace of the root is that of (Aᵀ Σ A)^½, and its gradient with respect to Σ is half of
    T = A (Aᵀ Σ A)^-½ Aᵀ, the map that carries one Gaussian to the other. Both come from one
    eigendecomposition of Aᵀ Σ A, which is never differentiated itself: its derivative is unstable
    where eigenvalues meet, and the loss's is not.

    Args:
        mean: μ, (n, N) float32.
        moment: the means of FᵀF over positions, (n, N, N) float32.
        target: the style's.

    Returns:
        (n,) float32, never negative. It can be differentiated once.
    """
    channels = mean.shape[-1]
    identity = ops.eye(channels, dtype="float32")
    covariance = moment - mean[:, :, None] * mean[:, None, :] + EPSILON * identity
    constants = (ops.stop_gradient(x) / target.total for x in (covariance, moment))
    trace, carry = _root(*constants, target)
    total = _trace(ops.stop_gradient(covariance)) + target.total
    distance = ops.maximum(total - 2 * target.total * trace, 0)
    # A linear function with the gradient I - T, of which only the gradient is wanted.
    linear = ops.sum((identity - carry) * covariance, axis=(1, 2))
    distance = distance + linear - ops.stop_gradient(linear)
    return ops.mean(ops.square(mean - target.mean), axis=1) + distance / channels


def _root(covariance, moment, target: Gaussian):
    """tr (Aᵀ Σ A)^½ and T = A (Aᵀ Σ A)^-½ Aᵀ, all in units of the style's total variance.

    Args:
        covariance, moment: (n, N, N) float32.

    Returns:
        (n,) and (n, N, N) float32.
    """
    product = ops.matmul(ops.transpose(target.root), ops.matmul(covariance, target.root))
    values, vectors = ops.eigh(product)
    # Where the activations have no variance, what is there is rounding, of either sign, and its
    # reciprocal root would be anything. An eigenvector's floor is what the rounding makes of it.
    rounding = ROUNDING * _trace(moment)[:, None]
    floor = rounding * ops.sum(target.variances[:, None] * ops.square(vectors), axis=1)
    safe = ops.maximum(values, ops.maximum(floor, TINY))
    half = ops.matmul(target.root, vectors) * (safe**-0.25)[:, None, :]
    carry = ops.matmul(half, ops.transpose(half, (0, 2, 1)))
    return ops.sum(values / ops.sqrt(safe), axis=1), carry


def _trace(matrices):
    return ops.sum(ops.diagonal(matrices, axis1=-2, axis2=-1), axis=-1)


def layer_size(size: tuple[int, int], stride: int) -> tuple[int, int]:
    """Rows and columns of a layer whose positions are `stride` pixels apart."""
    return tuple(-(-side // stride) for side in size)


def position_weights(
    mask: np.ndarray, size: tuple[int, int], strides: Iterable[int], power: int = 1
) -> dict[int, np.ndarray]:
    """A mask m as weights of the positions of each layer: m^power over its mean, m having been
    brought to the layer's size.

    Weighted by the squares, sums over positions are those of guided Gram matrices,
    Σ m² F Fᵀ / N Σ m² (L. Gatys et al., "Controlling Perceptual Factors in Neural Style Transfer",
    arXiv 1611.07865, section 4.1).

    Args:
        mask: (h, w) float32 of any size, at least 0 everywhere and above 0 somewhere.
        size: height and width of the picture in pixels.
        strides: of the layers.

    Returns:
        stride -> (1, height, width, 1) float32 with a mean of 1.
    """
    weights = {}
    for stride in strides:
        height, width = layer_size(size, stride)
        powers = pictures.resize_mask(mask, width, height) ** power
        weights[stride] = (powers / powers.mean(dtype=np.float64)).astype(np.float32)
    return {stride: one[np.newaxis, ..., np.newaxis] for stride, one in weights.items()}


@dataclass(frozen=True)
class View:
    """What a term sees of a batch of pictures: the whole of them, or what one tile owns."""

    features: Mapping[str, Any]  # layer -> (n, h, w, N) activations, of any float dtype
    # (n, h, w, 3) less the mean pixel, with the row below and the column to the right where there
    # are such
    pixels: Any
    size: tuple[int, int]  # height and width of the whole pictures in pixels
    strides: Mapping[str, int]  # layer -> pixels between its positions, per axis
    corner: tuple[int, int]  # row and column of the first pixel that is owned
    owned: tuple[int, int]  # height and width of what is owned, in pixels
    # From `position_weights`, of the whole pictures:
    regions: Sequence[Mapping[int, np.ndarray]] = ()  # each style's own; none for all of it
    painted: Mapping[int, np.ndarray] | None = None  # how much is painted; None for all of it

    @property
    def rows(self):
        """The pixels that are owned, and the row below."""
        return self.pixels[:, :, : self.owned[1]]

    @property
    def columns(self):
        """The pixels that are owned, and the column to the right."""
        return self.pixels[:, : self.owned[0]]

    def positions(self, layer: str) -> int:
        """How many positions a layer has in the whole of a picture."""
        return math.prod(layer_size(self.size, self.strides[layer]))

    def weights(self, whole: Mapping[int, np.ndarray], layer: str | None = None) -> np.ndarray:
        """What the view owns of the weights of a whole picture's positions.

        Args:
            whole: from `position_weights`.
            layer: whose positions; None for the pixels.

        Returns:
            (1, h, w, 1) float32.
        """
        stride = self.strides[layer] if layer else 1
        rows, columns = (
            slice(begin // stride, -(-(begin + length) // stride))
            for begin, length in zip(self.corner, self.owned)
        )
        return whole[stride][:, rows, columns]


class Term(Protocol):
    """What is written for each term; the objective does the rest for all alike: whole pictures
    and tiles, one picture and a batch, the gradient. See `Content` and `Gram` for the two kinds."""

    name: str  # what its loss is called
    layers: Mapping[str, float]  # of the network, that it looks at, with their weights

    def take(self, view: View) -> Any:
        """What it needs at each position besides the picture that is painted, as what it compares
        it with, or weights: tensors in a nested structure, taken once from the content's picture
        (a view of each tile), and from a style's before its `sums`."""

    def sums(self, view: View, taken: Any) -> Any:
        """What it adds up over positions: tensors in a nested structure, n first. `taken` is
        what `take` gave for the same tile."""

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

    name = "content"

    def take(self, view: View):
        weights = {}
        if view.painted is not None:
            weights = {layer: view.weights(view.painted, layer) for layer in self.layers}
        return {layer: view.features[layer] for layer in self.layers}, weights

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
    several styles are averaged by their shares. With regions, each is judged over its own:
    equation 6 of arXiv 1611.07865."""

    weight: float
    layers: Mapping[str, float]
    kind: str  # a key of STYLE
    scale: float  # of the activations
    shares: Mapping[str, Sequence[float]]  # layer -> of each style
    divisor: str = "activations"  # a key of GRAM

    name = "style"

    def take(self, view: View):
        return _of_regions(self, view)

    def sums(self, view: View, taken):
        def of_region(weights):
            return {
                layer: self.scale**2
                * gram_matrix(
                    view.features[layer],
                    view.positions(layer),
                    weights.get(layer),
                    self.divisor,
                    math.prod(view.size),
                )
                for layer in self.layers
            }

        return [of_region(weights) for weights in taken]

    def target(self, styles):
        return [style for [style] in styles]

    def loss(self, sums, target):
        total = ops.zeros(())
        regions = sums if len(sums) > 1 else sums * len(target)
        for layer, weight in self.layers.items():
            for share, region, style in zip(self.shares[layer], regions, target):
                if share:
                    loss = style_loss(region[layer], style[layer], self.kind)
                    total = total + share * weight * loss
        return self.weight * total


@dataclass(frozen=True)
class Wasserstein:
    """The means and covariances of each layer's activations as those of a Gaussian, by the
    Wasserstein-2 distance; several styles are one Gaussian, of their averaged moments. With
    regions, each style is a Gaussian for its own, and their losses are averaged by their shares."""

    weight: float
    layers: Mapping[str, float]
    scale: float  # of the activations
    shares: Mapping[str, Sequence[float]]  # layer -> of each style
    has_regions: bool = False

    name = "style"

    def take(self, view: View):
        return _of_regions(self, view)

    def sums(self, view: View, taken):
        return [self._moments(view, weights) for weights in taken]

    def _moments(self, view: View, all_weights):
        sums = {}
        for layer in self.layers:
            features, weights = view.features[layer], all_weights.get(layer)
            positions, channels = view.positions(layer), features.shape[3]
            weighted = _float32(features) if weights is None else _float32(features) * weights
            mean = self.scale * ops.sum(weighted, axis=(1, 2)) / positions
            gram = gram_matrix(features, positions, weights)
            sums[layer] = mean, self.scale**2 * channels * gram
        return sums

    def target(self, styles):
        styles = [style for [style] in styles]
        if self.has_regions:
            return [self._gaussians([style], self._whole()) for style in styles]
        return [self._gaussians(styles, self.shares)]

    def _whole(self):
        """The shares of a style that is alone."""
        return dict.fromkeys(self.layers, (1.0,))

    def _gaussians(self, styles, shares):
        def averaged(layer, moment):
            values = [ops.convert_to_numpy(style[layer][moment]) for style in styles]
            if any(len(value) > 1 for value in values):
                raise ValueError("the Wasserstein loss takes one style for a whole batch")
            each = zip(shares[layer], values)
            return sum(share * value[0].astype("f8") for share, value in each)

        return {layer: gaussian(averaged(layer, 0), averaged(layer, 1)) for layer in self.layers}

    def loss(self, sums, target):
        total = ops.zeros(())
        shares = self.shares if self.has_regions else self._whole()
        for layer, weight in self.layers.items():
            for share, region, style in zip(shares[layer], sums, target):
                if share:
                    distance = wasserstein_loss(*region[layer], style[layer])
                    total = total + share * weight * distance
        return self.weight * total


@dataclass(frozen=True)
class TotalVariation:
    """The roughness of the picture itself."""

    weight: float
    kind: str = "mean"  # of `total_variation`
    exponent: float = 2.0

    name, layers = "tv", {}

    def take(self, view: View):
        return {} if view.painted is None else {"pixels": view.weights(view.painted)}

    def sums(self, view: View, taken):
        weights = taken.get("pixels")
        return self.weight * total_variation(
            *(view.rows, view.columns, view.size, weights, self.kind, self.exponent, view.pixels)
        )


@dataclass(frozen=True, eq=False)
class Temporal:
    """How far a frame of a film is from the one before, moved along the optical flow: the sum of
    c (x - w)^2 over its D numbers, divided by D, where c says at each pixel how far the flow can be
    relied on (M. Ruder, A. Dosovitskiy, T. Brox, "Artistic style transfer for videos", arXiv
    1604.08610, section 5.1)."""

    weight: float
    before: np.ndarray | None = None  # w, (1, H, W, 3) less the mean pixel; None for no such frame
    reliable: np.ndarray | None = None  # c, (H, W) in 0..1

    name, layers = "temporal", {}

    def take(self, view: View):
        rows, columns = (
            slice(begin, begin + length) for begin, length in zip(view.corner, view.owned)
        )
        if self.before is None:  # nothing is compiled anew for want of it
            return np.zeros((1, *view.owned, 3), "f4"), np.zeros((1, *view.owned, 1), "f4")
        # With the weight, which then is no constant of what is compiled either.
        counts = np.float32(self.weight) * self.reliable[np.newaxis, rows, columns, np.newaxis]
        return self.before[:, rows, columns], np.asarray(counts, np.float32)

    def sums(self, view: View, taken):
        before, counts = taken
        height, width = view.owned
        squares = ops.square(_float32(view.pixels[:, :height, :width]) - before)
        numbers = float(3 * math.prod(view.size))
        return ops.sum(counts * squares, axis=(1, 2, 3)) / numbers


def terms(
    settings: Settings, styles: int, has_regions: bool = False, pixels: int = USUAL_PIXELS
) -> list[Term]:
    """The terms that the settings ask for.

    Args:
        settings: the weights, the layers and the normalisations.
        styles: how many styles there are.
        has_regions: whether each is judged over a region of its own.
        pixels: of the picture, for the strength.

    Raises ValueError for a number of weights that is not the number of styles.
    """
    scale = settings.activation_scale
    of_content, of_style, of_tv = settings.strengths(pixels)
    content = Content(
        of_content * settings.content_weight * scale**2,
        settings.content_weights(),
        settings.content_loss,
    )
    common = dict(
        weight=of_style * settings.style_weight,
        layers=settings.style_weights(),
        scale=scale,
        shares=settings.layer_shares(styles),
    )
    if settings.style_loss == "wasserstein":
        style = Wasserstein(**common, has_regions=has_regions)
    else:
        style = Gram(**common, kind=settings.style_loss, divisor=settings.gram_divisor)
    tv = TotalVariation(of_tv * settings.tv_weight, settings.tv_loss, settings.tv_exponent)
    return [content, style, tv]


def _of_regions(term: Term, view: View) -> list[dict]:
    """For each region of a view, the weights of the positions of a term's layers; for the whole of
    it, one that is empty."""
    return [
        {layer: view.weights(region, layer) for layer in term.layers} for region in view.regions
    ] or [{}]


def _weighted_sum(values, weights):
    """(n, h, w, 3) -> (n,), each pixel's by its weight, if there are any."""
    if weights is not None:
        values = values * weights[:, : values.shape[1], : values.shape[2]]
    return ops.sum(values, axis=(1, 2, 3))


def _power(squares, exponent: float):
    """Squares to a power; where they are 0 with a gradient of 0, which below 1 there is not."""
    if exponent == 1:
        return squares
    positive = squares > 0
    return ops.where(positive, ops.power(ops.where(positive, squares, 1.0), exponent), 0.0)


def _float32(tensor):
    return ops.cast(tensor, "float32")
