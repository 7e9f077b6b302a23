"""Pictures <-> arrays. A picture is (H, W, 3) float32 RGB in 0..255, in sRGB."""

from .colors import check_color_space, match_colors, preserve_colors
from .folders import found
from .formats import FORMATS, WITH_16_BITS, WITH_ALPHA, check_extension
from .masks import Masks, as_mask, composed, filled, joined, painted, resize_mask
from .reading import alpha, comment, mask, read, size
from .resizing import check_finite, eight_bits, middle_square, resize, resize_alpha
from .writing import write

__all__ = [
    "FORMATS",
    "WITH_16_BITS",
    "WITH_ALPHA",
    "Masks",
    "alpha",
    "as_mask",
    "check_color_space",
    "check_extension",
    "check_finite",
    "comment",
    "composed",
    "eight_bits",
    "filled",
    "found",
    "joined",
    "mask",
    "match_colors",
    "middle_square",
    "painted",
    "preserve_colors",
    "read",
    "resize",
    "resize_alpha",
    "resize_mask",
    "size",
    "write",
]
