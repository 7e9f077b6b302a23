"""What the picture is judged by: pure functions of activations, all in float32.

With F the activations of a layer as a matrix of H·W positions by C channels, N = H·W·C is its
size (Gatys, Ecker, Bethge, "A Neural Algorithm of Artistic Style", arXiv 1508.06576, section
Methods; the normalisation by N is this pipeline's, not the paper's).
"""

from __future__ import annotations

from keras import ops


def content_loss(features, target):
    """How far a layer's activations are from the content's: mean((F - P)²), after equation 1.

    Args:
        features: F, (1, H, W, C) of any float dtype.
        target: P, of the same shape.

    Returns:
        A float32 scalar.
    """
    return ops.mean(ops.square(_float32(features) - _float32(target)))


def gram_matrix(features):
    """Which channels fire together, wherever in the picture: G = FᵀF / N, after equation 3.

    Args:
        features: F, (1, H, W, C) of any float dtype.

    Returns:
        (C, C) float32, symmetric.
    """
    _, height, width, channels = features.shape
    flat = ops.reshape(_float32(features), (height * width, channels))
    return ops.matmul(ops.transpose(flat), flat) / (height * width * channels)


def style_loss(gram, target):
    """How far a layer's Gram matrix is from the style's: mean((G - A)²), after equation 4.

    Args:
        gram, target: G and A, (C, C) float32.

    Returns:
        A float32 scalar.
    """
    return ops.mean(ops.square(gram - target))


def total_variation(image):
    """How rough a picture is: the mean of the squared differences of vertical neighbours plus
    that of horizontal ones (after Mahendran and Vedaldi, arXiv 1412.0035, section 3.2).

    Args:
        image: (1, H, W, 3), H and W at least 2.

    Returns:
        A float32 scalar.
    """
    image = _float32(image)
    vertical = image[:, 1:] - image[:, :-1]
    horizontal = image[:, :, 1:] - image[:, :, :-1]
    return ops.mean(ops.square(vertical)) + ops.mean(ops.square(horizontal))


def _float32(tensor):
    return ops.cast(tensor, "float32")
