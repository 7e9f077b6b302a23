"""Pictures <-> arrays. A picture is (H, W, 3) float32 RGB in 0..255, in sRGB."""

from .colors import check_color_space, match_colors, preserve_colors
from .folders import found
from .formats import FORMATS, WITH_16_BITS, WITH_ALPHA, check_extension
from .reading import alpha, comment, read, size
from .resizing import check_finite, resize, resize_alpha
from .writing import write

__all__ = [
    "FORMATS",
    "WITH_16_BITS",
    "WITH_ALPHA",
    "alpha",
    "check_color_space",
    "check_extension",
    "check_finite",
    "comment",
    "found",
    "match_colors",
    "preserve_colors",
    "read",
    "resize",
    "resize_alpha",
    "size",
    "write",
]
