"""Arrays -> picture files: (H, W, 3) float32 RGB in 0..255, in sRGB."""

from __future__ import annotations

import struct

import imageio.v3 as iio
import numpy as np
from PIL import ExifTags, Image, PngImagePlugin

from .. import files
from . import sixteen_bits
from .formats import WITH_ALPHA, check_extension
from .resizing import check_finite, eight_bits

BMP_COMMENT = b"Comment\0"  # before the comment, which comes after the pixels


def write(
    path, image: np.ndarray, comment: str = "", alpha: np.ndarray | None = None, depth: int = 8
) -> None:
    """Write a picture, whole or not at all, in the format of its extension.

    Args:
        path: with one of the extensions of `FORMATS`.
        image: (H, W, 3) in 0..255, rounded to `depth` bits.
        comment: kept in the picture: PNG text, TIFF description, EXIF user comment, or behind the
            pixels of a BMP.
        alpha: (H, W) in 0..255, how opaque it is; for one of the extensions of `WITH_ALPHA`.
        depth: bits of a channel: 8, or 16 for one of the extensions of `WITH_16_BITS`.

    Raises:
        ValueError: for another extension, or for NaN or infinity.
        OSError: if it cannot be written; what was there stays.
    """
    extension = check_extension(path, depth)
    check_finite(image, f"what would be written to {path}")
    if alpha is not None:
        if extension not in WITH_ALPHA:
            raise ValueError(f"{path} cannot hold transparency: use {', '.join(WITH_ALPHA)}")
        image = np.dstack([image, alpha])
    with files.replacing(path) as file:
        if depth == 8:
            file.write(_encoded(extension, eight_bits(image), comment))
        elif extension == ".png":
            sixteen_bits.write_png(file, _sixteen_bits(image), _png_text(comment))
        else:
            sixteen_bits.write_tiff(file, _sixteen_bits(image), _ascii(comment).decode())


def _encoded(extension: str, pixels: np.ndarray, comment: str) -> bytes:
    """The file of a picture of 8 bits."""
    options = {}
    if extension in (".jpg", ".jpeg"):
        options = dict(quality=95, subsampling=0)
    elif extension == ".webp":
        options = dict(quality=95)
    elif extension in (".tif", ".tiff"):
        options = dict(compression="tiff_deflate")
    if comment and extension == ".png":
        options["pnginfo"] = _png_text(comment)
    elif comment and extension in (".tif", ".tiff"):
        options["description"] = _ascii(comment).decode()
    elif comment and extension != ".bmp":
        exif = Image.Exif()
        exif[ExifTags.IFD.Exif] = {ExifTags.Base.UserComment: b"ASCII\0\0\0" + _ascii(comment)}
        options["exif"] = exif
    encoded = iio.imwrite("<bytes>", pixels, extension=extension, plugin="pillow", **options)
    return _with_bmp_comment(encoded, comment) if comment and extension == ".bmp" else encoded


def _sixteen_bits(image: np.ndarray) -> np.ndarray:
    """Clipped to 0..255 and rounded to uint16, of the same shape."""
    pixels = np.clip(np.asarray(image, np.float32), 0, 255)
    pixels *= 257
    return np.rint(pixels, out=pixels).astype(np.uint16)


def _png_text(comment: str) -> PngImagePlugin.PngInfo | None:
    if not comment:
        return None
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", comment)
    return text


def _with_bmp_comment(encoded: bytes, comment: str) -> bytes:
    """The format has no place for it: it stands at the end, where no reader of pixels looks."""
    encoded = bytearray(encoded + BMP_COMMENT + comment.encode())
    struct.pack_into("<I", encoded, 2, len(encoded))
    return bytes(encoded)


def _ascii(comment: str) -> bytes:
    return comment.encode("ascii", "backslashreplace")
