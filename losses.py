"""What the picture is judged by: pure functions of activations, all in float32.

With F the activations of a layer as a matrix of M positions by N channels (Gatys, Ecker, Bethge,
"A Neural Algorithm of Artistic Style", arXiv 1508.06576, section Methods). Each is a sum over
positions, or a function of Gram matrices that are: given the number of positions of the whole
picture, what the functions give for its parts adds up to what they give for the whole.
"""

from __future__ import annotations

from keras import ops

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


def content_loss(features, target, kind: str = "mean", positions: int | None = None):
    """How far a layer's activations are from the content's: Σ(F - P)², equation 1, normalised.

    Args:
        features: F, (1, H, W, N) of any float dtype.
        target: P, of the same shape.
        kind: the normalisation, a key of `CONTENT`; the paper's is `half-sum`.
        positions: of the whole picture in this layer; H·W if not given.

    Returns:
        A float32 scalar.
    """
    _, height, width, channels = features.shape
    factor = CONTENT[kind](positions or height * width, channels)
    return factor * ops.sum(ops.square(_float32(features) - _float32(target)))


def gram_matrix(features, positions: int | None = None):
    """Which channels fire together, wherever in the picture: G = FᵀF / MN, after equation 3.

    The paper's Gram matrix is the sum FᵀF; divided by the number of activations, it does not
    depend on the size of the picture.

    Args:
        features: F, (1, H, W, N) of any float dtype.
        positions: M of the whole picture in this layer; H·W if not given.

    Returns:
        (N, N) float32, symmetric.
    """
    _, height, width, channels = features.shape
    flat = ops.reshape(_float32(features), (height * width, channels))
    return ops.matmul(ops.transpose(flat), flat) / ((positions or height * width) * channels)


def style_loss(gram, target, kind: str = "mean"):
    """How far a layer's Gram matrix is from the style's: Σ(G - A)², equation 4, normalised.

    With `quarter-sum` and pictures of one size, this is the paper's Σ(G' - A')² / 4N²M² of its
    own Gram matrices G' = MN·G.

    Args:
        gram, target: G and A, (N, N) float32.
        kind: the normalisation, a key of `STYLE`.

    Returns:
        A float32 scalar.
    """
    return STYLE[kind](gram.shape[0]) * ops.sum(ops.square(gram - target))


def total_variation(image, across=None, size=None):
    """How rough a picture is: the mean of the squared differences of vertical neighbours plus
    that of horizontal ones (after Mahendran and Vedaldi, arXiv 1412.0035, section 3.2).

    Args:
        image: (1, H, W, 3), H and W at least 2; or of a part of a picture, its rows and the one
            below it.
        across: the part's columns and the one to its right; `image` if not given.
        size: height and width of the whole picture; H and W if not given.

    Returns:
        A float32 scalar.
    """
    across = image if across is None else across
    height, width = size or image.shape[1:3]
    image, across, channels = _float32(image), _float32(across), image.shape[3]
    vertical = ops.sum(ops.square(image[:, 1:] - image[:, :-1]))
    horizontal = ops.sum(ops.square(across[:, :, 1:] - across[:, :, :-1]))
    return vertical / ((height - 1) * width * channels) + horizontal / (
        height * (width - 1) * channels
    )


def _float32(tensor):
    return ops.cast(tensor, "float32")
