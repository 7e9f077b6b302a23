"""Pictures <-> arrays. A picture is (H, W, 3) float32 RGB in 0..255, in sRGB."""

from .colors import preserve_colors
from .files import FORMATS, check_extension, comment, read, size, write
from .resizing import resize

__all__ = [
    "FORMATS",
    "check_extension",
    "comment",
    "preserve_colors",
    "read",
    "resize",
    "size",
    "write",
]
